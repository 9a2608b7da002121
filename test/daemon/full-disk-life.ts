/**
 * What readiness.test.ts runs on a disk of 1 MiB: what `/ready` says while the disk is full and when
 * it has room again, as JSON. Usage: bun full-disk-life.ts <directory on that disk>
 */
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toAgentError } from '../../src/core/errors.ts';
import { healthTracker } from '../../src/health/tracker.ts';
import { WARNABLES } from '../../src/health/warnables/table.ts';
import { journalUpkeep } from '../../src/store/journal/upkeep.ts';
import { NOTHING_WRONG } from '../health/nothing-wrong.ts';
import { memoryLog } from '../support/memory-log.ts';
import { commandOf, openJournal } from '../support/open-journal.ts';

const directory = process.argv[2] ?? '';
const filler = join(directory, 'filler');
using open = openJournal(join(directory, 'agent.db'));
const { clock, journal } = open;
const health = healthTracker({ clock, log: memoryLog() }, WARNABLES, async () => ({
  ...NOTHING_WRONG,
  journalTrouble: journal.trouble(),
}));
const log = memoryLog();
const stop = new AbortController();
const { done } = await journalUpkeep({ clock, log, journal }).start(stop.signal);
await clock.whenSleeping(1);

const told: unknown[] = [];
/** One round of the upkeep, then what `/ready` says. */
async function tell(): Promise<void> {
  clock.advance(60_000);
  await clock.whenSleeping(1);
  const { ready, problems } = await health.look(stop.signal);
  told.push({ ready, codes: problems.map(({ code }) => code) });
}

const accept = (id: string) =>
  journal.accept(commandOf(id)).catch((thrown) => toAgentError(thrown).code);

const outcomes: string[] = [await accept('before')];
await tell();
const { bavail, bsize } = statfsSync(directory);
writeFileSync(filler, 'x'.repeat(bavail * bsize));
for (let index = 0; outcomes.at(-1) !== 'DISK_FULL'; index += 1) {
  // Until what the log had allocated is used up.
  outcomes.splice(1, 1, await accept(`full-${index}`));
}
// Changes nothing, so it says nothing about the disk.
outcomes.push(await accept('before'));
await tell();
await tell();
rmSync(filler);
await tell();
outcomes.push(await accept('after'));
stop.abort();
await done;
const messages = log.entries.map(({ message }) => message);
process.stdout.write(JSON.stringify({ outcomes, told, messages }));
