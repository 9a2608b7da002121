/**
 * What database.test.ts runs on a disk of 1 MiB: opens a store there after the rest was filled, and
 * prints what came of it as JSON. Usage: bun full-disk-open.ts <directory on that disk>
 */
import { statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toAgentError } from '../../src/core/errors.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openDatabase } from '../../src/store/database.ts';

const directory = process.argv[2] ?? '';
const path = join(directory, 'agent.db');
openDatabase({ clock: systemClock }, path).database.close();
const { bavail, bsize } = statfsSync(directory);
writeFileSync(join(directory, 'filler'), 'x'.repeat(bavail * bsize));
try {
  openDatabase({ clock: systemClock }, path);
} catch (thrown) {
  const { code, message, hint } = toAgentError(thrown);
  process.stdout.write(JSON.stringify({ code, message, hint }));
}
