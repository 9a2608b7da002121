/** A server of three whose `leave` is killed in each of its steps. */
import { expect, test } from 'bun:test';
import { SERVER_STEPS } from '../../src/machine/leave/server.ts';
import { killInEachStep, killLeave, LEAVE, leaveAgain } from '../e2e/leave/killed.ts';
import { expectGone, joinServer, openServerRig } from '../e2e/leave/server-rig.ts';
import { openStand } from '../e2e/stand.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 60 * 60_000;
/** After the beginning of a step. */
const KILLED_AFTER_MS = [0, 1_500] as const;

const progress = reportProgress('leave-server-killed');

test(
  'killed with SIGKILL in each step, the next leave ends it, and the server joins again',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('leave-server-long');
    const { first, second, third } = await progress.phase('install', () => openServerRig(stand));
    await joinServer(stand, second, first, 2);
    const joinAndLeave = async <T>(kill: () => Promise<T>) => {
      await joinServer(stand, third, first, 3);
      const killed = await kill();
      await leaveAgain(third);
      await expectGone(third, first, ['first', 'second']);
      return killed;
    };
    // While etcd and the cluster are left, one after the other; what is removed then, in one go.
    for (let step = 1; step <= SERVER_STEPS; step += 1) {
      for (const laterMs of KILLED_AFTER_MS) {
        const what = `killed ${laterMs} ms after step ${step} began`;
        const { killed } = await progress.phase(what, () =>
          joinAndLeave(() => killLeave(third, step, { laterMs })),
        );
        expect({ what, killed }).toEqual({ what, killed: true });
      }
    }
    const steps = await progress.phase('killed in each step of the removal', () =>
      joinAndLeave(() => killInEachStep(third, LEAVE, { from: SERVER_STEPS + 1 })),
    );
    expect(steps.length).toBeGreaterThan(10);
    await joinServer(stand, third, first, 3);
  },
  TEST_TIMEOUT_MS,
);
