/** The troubles of test/e2e/chaos for longer: each for minutes, and at random. */
import { test } from 'bun:test';
import { FAULTS, type Fault } from '../e2e/chaos/faults.ts';
import { openRig } from '../e2e/chaos/rig.ts';
import { runTroubles, type Trouble } from '../e2e/chaos/run-troubles.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 3 * 60 * 60_000;
/** Four times the longest pause between two tries to reach the control plane. */
const EACH_LASTS_MS = 2 * 60_000;
const RANDOM_FOR_MS = 10 * 60_000;
/** A random trouble lasts at least as long as in the short run, and at most so much longer. */
const RANDOM_LONGER_MAX_MS = 45_000;

const progress = reportProgress('chaos');

test(
  'an agent lives through two minutes of each trouble',
  async () => {
    await prepareTestMachines(progress);
    await using rig = await openRig('chaos-each', progress);
    await runTroubles(rig, progress, FAULTS.map(longer));
  },
  TEST_TIMEOUT_MS,
);

test(
  'an agent lives through ten minutes of troubles at random',
  async () => {
    const seed = Number(process.env['PIPEOPS_CHAOS_SEED'] ?? Date.now());
    process.stderr.write(`chaos: PIPEOPS_CHAOS_SEED=${seed}\n`);
    await prepareTestMachines(progress);
    await using rig = await openRig('chaos-random', progress);
    await runTroubles(rig, progress, randomTroubles(seed));
  },
  TEST_TIMEOUT_MS,
);

/** What is over at once stays so. */
function longer(fault: Fault): Trouble {
  return { fault, lastsMs: fault.lastsMs === 0 ? 0 : EACH_LASTS_MS };
}

function* randomTroubles(seed: number): Generator<Trouble, void> {
  const random = seededRandom(seed);
  const until = performance.now() + RANDOM_FOR_MS;
  while (performance.now() < until) {
    const fault = FAULTS[Math.floor(random.fraction() * FAULTS.length)];
    if (fault !== undefined) {
      yield { fault, lastsMs: fault.lastsMs + random.fraction() * RANDOM_LONGER_MAX_MS };
    }
  }
}
