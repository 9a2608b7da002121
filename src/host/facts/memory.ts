import type { Fact } from './fact.ts';

/** Memory of the machine as the kernel has it, bytes; 0 where it does not say (proc(5), "meminfo"). */
export const memoryBytes: Fact<number> = {
  id: 'memory',
  read: async ({ files }) => {
    const text = (await files.readText('/proc/meminfo')) ?? '';
    return Number(/^MemTotal:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  },
};
