/** A worker whose `leave` is killed in three steps of a seed; in all of them: test/long/leave-killed.test.ts. */
import { expect, test } from 'bun:test';
import { seededRandom } from '../support/seeded-random.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { killLeave } from './leave/killed.ts';
import { joinAndKillLeave, openWorkerRig } from './leave/worker-rig.ts';
import { openStand } from './stand.ts';

const TEST_TIMEOUT_MS = 1_800_000;
/** Steps, from and up to: while the cluster is left, while k3s is removed, and after. */
const RANGES = [
  [1, 3],
  [3, 8],
  [8, 14],
] as const;

const progress = reportProgress('leave-killed');

test(
  'killed with SIGKILL in steps of a seed, the next leave ends it without a trace',
  async () => {
    const seed = Number(process.env['PIPEOPS_KILL_SEED'] ?? Date.now());
    process.stderr.write(`leave-killed: PIPEOPS_KILL_SEED=${seed}\n`);
    const random = seededRandom(seed);
    await prepareTestMachines(progress);
    await using stand = await openStand('leave-killed');
    const rig = await progress.phase('install', () => openWorkerRig(stand));
    for (const [from, to] of RANGES) {
      const at = from + Math.floor(random.fraction() * (to - from));
      const { killed, step } = await progress.phase(`killed in step ${at}`, () =>
        joinAndKillLeave(stand, rig, (worker) => killLeave(worker, at)),
      );
      process.stderr.write(`leave-killed: step ${at} is "${step}"\n`);
      expect(killed).toBe(true);
    }
  },
  TEST_TIMEOUT_MS,
);
