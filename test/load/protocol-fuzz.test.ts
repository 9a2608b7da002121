import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { fastRandom } from './fast-random.ts';
import { protocolFuzz } from './protocol-fuzz.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const MESSAGES = Number(process.env['FUZZ_MESSAGES'] ?? 100_000);
/** What the journal may hold of finished commands is in it. */
const GROWTH_MIB_MAX = 64;

test(`mutated messages end nothing and lose no command (SEED=${SEED})`, async () => {
  await using directory = await tempDirectory();
  const report = await protocolFuzz({
    ...{ messages: MESSAGES, random: fastRandom(SEED) },
    databasePath: join(directory.path, 'agent.db'),
  });
  console.error(`protocol fuzz: ${JSON.stringify(report)}`);
  expect(report.answeredOnce).toBe(report.commands);
  expect(report.rssMib.late - report.rssMib.early).toBeLessThan(GROWTH_MIB_MAX);
});
