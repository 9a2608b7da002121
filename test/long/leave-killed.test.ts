/** A worker whose `leave` is killed at each of its steps, one after the other. */
import { expect, test } from 'bun:test';
import { joinAndKillLeave, openWorkerRig } from '../e2e/leave/worker-rig.ts';
import { openStand } from '../e2e/stand.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 3 * 60 * 60_000;
/** More than it tells. */
const LINES_MAX = 100;

const progress = reportProgress('leave-killed');

test(
  'killed with SIGKILL at each step, the next leave ends it without a trace',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('leave-killed-long');
    const rig = await progress.phase('install', () => openWorkerRig(stand));
    let lines = 1;
    for (; lines < LINES_MAX; lines += 1) {
      const { killed } = await progress.phase(`killed at line ${lines}`, () =>
        joinAndKillLeave(stand, rig, lines),
      );
      if (!killed) {
        break; // It had told no further line.
      }
    }
    expect(lines).toBeWithin(20, LINES_MAX);
  },
  TEST_TIMEOUT_MS,
);
