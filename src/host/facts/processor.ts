import type { Fact } from './fact.ts';

/** It repeats itself for each of hundreds of processors. */
const CPUINFO_LIMIT_BYTES = 16 * 1024 * 1024;

export interface Processor {
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  /** How many the machine has; 0 where it does not say. */
  readonly count: number;
  /** What it can do, in the kernel's words (proc(5), "cpuinfo"): `sse4_2`. */
  readonly flags: ReadonlySet<string>;
}

export const processor: Fact<Processor> = {
  id: 'processor',
  read: async ({ files, architecture }) => {
    const text = (await files.readText('/proc/cpuinfo', CPUINFO_LIMIT_BYTES)) ?? '';
    const flags = /^flags\s*:(.*)$/m.exec(text)?.[1] ?? '';
    const count = text.split('\n').filter((line) => line.startsWith('processor')).length;
    return { architecture, count, flags: new Set(flags.split(' ')) };
  },
};
