import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** It repeats itself for each of hundreds of processors. */
const CPUINFO_LIMIT_BYTES = 16 * 1024 * 1024;

export interface Processor {
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  /** How many the machine has; 0 where it does not say. */
  readonly count: number;
  /** What it can do, in the kernel's words: `sse4_2`. */
  readonly flags: ReadonlySet<string>;
}

export const processor: Fact<Processor> = {
  id: 'processor',
  read: async ({ files, architecture }) => {
    const { count, flags = new Set() } = await readCpuInfo(files);
    return { architecture, count, flags };
  },
};

/** proc(5), "cpuinfo". Flags of the first one, which are those of all; undefined where it has none, as on arm64. */
export async function readCpuInfo(
  files: Files,
): Promise<{ readonly count: number; readonly flags: ReadonlySet<string> | undefined }> {
  const text = (await files.readText('/proc/cpuinfo', CPUINFO_LIMIT_BYTES)) ?? '';
  const flags = /^flags\s*:(.*)$/m.exec(text)?.[1];
  const count = text.split('\n').filter((line) => line.startsWith('processor')).length;
  return { count, flags: flags === undefined ? undefined : new Set(flags.trim().split(' ')) };
}
