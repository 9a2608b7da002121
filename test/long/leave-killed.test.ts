/** A worker whose `leave` is killed in each of its steps. */
import { expect, test } from 'bun:test';
import { WORKER_STEPS } from '../../src/machine/leave/worker.ts';
import { killInEachStep, killLeave, LEAVE } from '../e2e/leave/killed.ts';
import { joinAndKillLeave, openWorkerRig } from '../e2e/leave/worker-rig.ts';
import { openStand } from '../e2e/stand.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 60 * 60_000;
/** After the beginning of a step. */
const KILLED_AFTER_MS = [0, 300, 1_500] as const;

const progress = reportProgress('leave-killed');

test(
  'killed with SIGKILL in each step, the next leave ends it without a trace',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('leave-killed-long');
    const rig = await progress.phase('install', () => openWorkerRig(stand));
    // While the cluster is left, one after the other; what is removed then, in one go.
    for (let step = 1; step <= WORKER_STEPS; step += 1) {
      for (const laterMs of KILLED_AFTER_MS) {
        const what = `killed ${laterMs} ms after step ${step} began`;
        const { killed } = await progress.phase(what, () =>
          joinAndKillLeave(stand, rig, (worker) => killLeave(worker, step, { laterMs })),
        );
        expect({ what, killed }).toEqual({ what, killed: true });
      }
    }
    for (const laterMs of KILLED_AFTER_MS) {
      const steps = await progress.phase(`killed in each step of the removal (${laterMs} ms)`, () =>
        joinAndKillLeave(stand, rig, (worker) =>
          killInEachStep(worker, LEAVE, { from: WORKER_STEPS + 1, laterMs: () => laterMs }),
        ),
      );
      expect(steps).not.toEqual([]);
    }
  },
  TEST_TIMEOUT_MS,
);
