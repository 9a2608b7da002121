import type { Files } from '../core/ports.ts';
import { MachineMark } from '../protocol/files/machine-mark.ts';

const UNKNOWN: MachineMark = { machine: null, hardware: null, boot: null };

/** @param path root's file, made at each start; where no unit runs the daemon, nothing is known */
export async function readMachineMark(files: Files, path: string): Promise<MachineMark> {
  try {
    const json: unknown = JSON.parse((await files.readText(path)) ?? 'null');
    return MachineMark.safeParse(json).data ?? UNKNOWN;
  } catch {
    return UNKNOWN; // Nobody is taken for a copy because of a file that cannot be read.
  }
}
