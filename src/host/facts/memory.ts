import type { Fact } from './fact.ts';

/** Memory of the machine in bytes, as the kernel counts it; 0 if it does not say (proc(5), "meminfo"). */
export const memoryBytes: Fact<number> = {
  id: 'memory',
  read: async ({ files }) => {
    const text = (await files.readText('/proc/meminfo')) ?? '';
    return Number(/^MemTotal:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  },
};
