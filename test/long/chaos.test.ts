/** The troubles of test/e2e/chaos for longer: each for minutes, and at random. */
import { test } from 'bun:test';
import { FAULTS } from '../e2e/chaos/faults.ts';
import { openRig } from '../e2e/chaos/rig.ts';
import { runTroubles, type Trouble } from '../e2e/chaos/run-troubles.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 3 * 60 * 60_000;
const EACH_LASTS_MS = 5 * 60_000;
const RANDOM_FOR_MS = 30 * 60_000;
/** A random trouble lasts at least as long as in the short run, and at most so much longer. */
const RANDOM_LONGER_MAX_MS = 45_000;

const progress = reportProgress('chaos');

test(
  'an agent lives through five minutes of each trouble',
  async () => {
    await prepareTestMachines(progress);
    await using rig = await openRig('chaos-each', progress);
    const each = new Map(FAULTS.map((fault) => [fault.name, { fault, lastsMs: EACH_LASTS_MS }]));
    await runTroubles(rig, progress, each.values());
  },
  TEST_TIMEOUT_MS,
);

test(
  'an agent lives through half an hour of troubles at random',
  async () => {
    const seed = Number(process.env['PIPEOPS_CHAOS_SEED'] ?? Date.now());
    process.stderr.write(`chaos: PIPEOPS_CHAOS_SEED=${seed}\n`);
    await prepareTestMachines(progress);
    await using rig = await openRig('chaos-random', progress);
    await runTroubles(rig, progress, randomTroubles(seed));
  },
  TEST_TIMEOUT_MS,
);

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
