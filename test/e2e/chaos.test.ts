/**
 * What networks, clocks, disks and crashes do to an installed agent while commands keep coming, on a
 * real machine with the compiled executable: nothing lost, nothing doubled, and it recovers alone.
 */
import { test } from 'bun:test';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { FAULTS } from './chaos/faults.ts';
import { openRig } from './chaos/rig.ts';
import { runTroubles } from './chaos/run-troubles.ts';

/** With the making of the machines, where they are not made yet. */
const TEST_TIMEOUT_MS = 1_800_000;

const progress = reportProgress('chaos');

test(
  'an agent lives through every trouble with each command done once',
  async () => {
    await prepareTestMachines(progress);
    await using rig = await openRig('chaos', progress);
    const troubles = FAULTS.map((fault) => ({ fault, lastsMs: fault.lastsMs }));
    await runTroubles(rig, progress, troubles);
  },
  TEST_TIMEOUT_MS,
);
