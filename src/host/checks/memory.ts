import { memoryBytes } from '../facts/memory.ts';
import { type Check, EVERYWHERE } from './check.ts';

const MIB = 1024 * 1024;
/** k3s' own minimum for a worker, less what the kernel keeps of 512 MB. */
const MEMORY_BYTES_MIN = 450 * MIB;

export const enoughMemory: Check = {
  id: 'memory',
  title: 'Memory',
  severity: 'blocks',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: 'Kubernetes itself needs memory before any workload runs; with less it is killed and started again.',
  remedy: 'Use a larger machine.',
  needs: [memoryBytes],
  run: async (facts) => {
    const bytes = await facts(memoryBytes);
    return bytes >= MEMORY_BYTES_MIN
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: `The machine has ${Math.round(bytes / MIB)} MiB of memory, too little`,
          hint: 'Kubernetes needs 512 MB for a worker and 2 GB for a server',
        };
  },
};
