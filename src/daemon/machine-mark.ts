import type { Files } from '../core/ports.ts';
import type { MachineMark } from '../protocol/files/machine-mark.ts';

/** @param hardwareFile root's, made at each start: only root may read the number itself */
export async function readMachineMark(files: Files, hardwareFile: string): Promise<MachineMark> {
  const [machine, hardware, boot] = await Promise.all(
    ['/etc/machine-id', hardwareFile, '/proc/sys/kernel/random/boot_id'].map((path) =>
      firstLine(files, path),
    ),
  );
  return { machine: machine ?? null, hardware: hardware ?? null, boot: boot ?? null };
}

/** Empty in an image, until systemd makes one (machine-id(5), "uninitialized"). */
async function firstLine(files: Files, path: string): Promise<string | null> {
  try {
    const text = (await files.readText(path))?.trim() ?? '';
    return text === '' || text === 'uninitialized' ? null : text;
  } catch {
    return null; // Who may not read it does not know it.
  }
}
