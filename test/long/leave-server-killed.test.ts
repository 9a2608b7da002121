/** A server of three whose `leave` is killed at each of its steps, one after the other. */
import { expect, test } from 'bun:test';
import { killLeave, leaveAgain } from '../e2e/leave/killed.ts';
import { expectGone, joinServer, openServerRig } from '../e2e/leave/server-rig.ts';
import { openStand } from '../e2e/stand.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 3 * 60 * 60_000;
/** More than it tells. */
const LINES_MAX = 100;

const progress = reportProgress('leave-server-killed');

test(
  'killed with SIGKILL at each step, the next leave ends it, and the server joins again',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('leave-server-long');
    const { first, second, third } = await progress.phase('install', () => openServerRig(stand));
    await joinServer(stand, second, first, 2);
    let lines = 1;
    for (; lines < LINES_MAX; lines += 1) {
      const { killed } = await progress.phase(`killed at line ${lines}`, async () => {
        await joinServer(stand, third, first, 3);
        const ended = await killLeave(third, lines);
        await leaveAgain(third);
        await expectGone(third, first, ['first', 'second']);
        return ended;
      });
      if (!killed) {
        break; // It had told no further line.
      }
    }
    expect(lines).toBeWithin(25, LINES_MAX);
  },
  TEST_TIMEOUT_MS,
);
