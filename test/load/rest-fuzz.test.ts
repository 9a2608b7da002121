import { expect, test } from 'bun:test';
import { tempDirectory } from '../support/temp-dir.ts';
import { fastRandom } from './fast-random.ts';
import { restFuzz } from './rest-fuzz.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const ANSWERS = Number(process.env['FUZZ_ANSWERS'] ?? 20_000);
/** Over a whole run, however long: what the journals may hold of finished commands is in it. */
const GROWTH_MIB_MAX = 48;

test(`mutated answers end nothing and lose no command (SEED=${SEED})`, async () => {
  await using directory = await tempDirectory();
  const { rssMib, ...report } = await restFuzz({
    answers: ANSWERS,
    random: fastRandom(SEED),
    directory: directory.path,
  });
  console.error(`REST fuzz: ${JSON.stringify({ ...report, rssMib })}`);
  expect(report).toEqual({
    answers: report.answers,
    commands: report.commands,
    answeredOnce: report.commands,
    ended: 0,
    internalErrors: [],
  });
  expect(report.commands).toBeGreaterThan(ANSWERS / 1_000);
  expect(rssMib.growth).toBeLessThan(GROWTH_MIB_MAX);
});
