import type { Fact } from './fact.ts';

/** Devices and files that are swapped to (proc_swaps(5)). */
export const swapAreas: Fact<readonly string[]> = {
  id: 'swap',
  read: async ({ files }) => {
    const text = (await files.readText('/proc/swaps')) ?? '';
    return text
      .split('\n')
      .slice(1)
      .flatMap((line) => line.split(/\s+/)[0] || []);
  },
};
