import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { fastRandom } from './fast-random.ts';
import { protocolFuzz } from './protocol-fuzz.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const MESSAGES = Number(process.env['FUZZ_MESSAGES'] ?? 100_000);
/** Over a whole run, however long: what the journal may hold of finished commands is in it. */
const GROWTH_MIB_MAX = 32;

test(`mutated messages end nothing and lose no command (SEED=${SEED})`, async () => {
  await using directory = await tempDirectory();
  const { rssMib, ...report } = await protocolFuzz({
    messages: MESSAGES,
    random: fastRandom(SEED),
    databasePath: join(directory.path, 'agent.db'),
  });
  console.error(`protocol fuzz: ${JSON.stringify({ ...report, rssMib })}`);
  const { commands, full } = report.ledger;
  expect(report).toEqual({
    sent: MESSAGES,
    oversized: report.oversized,
    ledger: {
      commands,
      accepted: commands,
      answeredOnce: commands,
      wrongResults: 0,
      unacknowledged: 0,
      wronglyAcknowledged: 0,
      // Once there is room, one is not turned away again.
      ...{ full, sentAgain: full },
    },
    // Messages over the limit end their connections, and nothing else ends one.
    ...{ closedTooLarge: report.oversized, closedOtherwise: 0 },
  });
  expect(full).toBeLessThanOrEqual(commands);
  expect(report.oversized).toBeGreaterThan(0);
  expect(rssMib.growth).toBeLessThan(GROWTH_MIB_MAX);
});
