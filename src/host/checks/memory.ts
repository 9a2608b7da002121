import { memoryBytes } from '../facts/memory.ts';
import { processor } from '../facts/processor.ts';
import { subject } from '../facts/subject.ts';
import { type Check, EVERYWHERE } from './check.ts';

const MIB = 1024 * 1024;
/** k3s' own minimum for a worker, less what the kernel keeps of 512 MB. */
const MEMORY_BYTES_MIN = 450 * MIB;
/** The same for a server, 2 GB (docs.k3s.io, "Requirements"). */
const SERVER_BYTES_MIN = 1_800 * MIB;
/**
 * For a server in the profile lite, of 1 GB: k3s and the agent take 500 to 600 MiB, measured with an application
 * by test/e2e/small-machine.test.ts.
 */
const LITE_BYTES_MIN = 900 * MIB;
const SERVER_PROCESSORS_MIN = 2;

export const enoughMemory: Check = {
  id: 'memory',
  title: 'Memory',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Kubernetes itself needs memory before any workload runs; with less it is killed and started again.',
  remedy: `A worker needs 512 MB, and uses about half of it itself. A server needs 2 GB: k3s takes 0.5 to
0.9 GB. With 1 GB a server needs \`--profile lite\`, which leaves out what k3s brings beside Kubernetes and
keeps memory for k3s and the system. Add swap, and run little.`,
  needs: [memoryBytes, subject],
  run: async (facts) => {
    const bytes = await facts(memoryBytes);
    if (bytes === 0) {
      return { notChecked: '/proc/meminfo does not say how much there is' };
    }
    const finding = {
      code: 'HOST_UNSUPPORTED',
      message: `The machine has ${Math.round(bytes / MIB)} MiB of memory, too little`,
      hint: 'Kubernetes needs 512 MB for a worker and 2 GB for a server',
    } as const;
    if (bytes < MEMORY_BYTES_MIN) {
      return finding;
    }
    const { k3sRole, role, config } = await facts(subject);
    const isLite = config.k3s.profile === 'lite';
    if (k3sRole === 'agent' || bytes >= (isLite ? LITE_BYTES_MIN : SERVER_BYTES_MIN)) {
      return undefined;
    }
    // What runs already may go on: it was somebody's decision.
    const told = { ...finding, message: `${finding.message} for a server` };
    const small = { ...told, hint: `${told.hint}; with 1 GB a server needs --profile lite` };
    return { ...(isLite ? told : small), ...(role === 'bare' ? {} : { onlyWarns: true }) };
  },
};

export const enoughProcessors: Check = {
  id: 'processors',
  title: 'Processors',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'With one processor a server of Kubernetes answers slowly, and loses its lease when workloads are busy.',
  remedy: 'Give the machine 2 processors or more; 1 is enough for a worker.',
  needs: [processor, subject],
  run: async (facts) => {
    const { count } = await facts(processor);
    const { k3sRole } = await facts(subject);
    if (count === 0) {
      return { notChecked: '/proc/cpuinfo does not say how many there are' };
    }
    return k3sRole === 'agent' || count >= SERVER_PROCESSORS_MIN
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: 'The machine has one processor',
          hint: 'Kubernetes needs 2 for a server',
        };
  },
};
