import { expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import type { CommandJournal } from '../../../src/store/journal/commands.ts';
import { journalUpkeep } from '../../../src/store/journal/upkeep.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { openJournal } from '../../support/open-journal.ts';

/** The upkeep of a journal whose `prune` goes as given, one after the other. */
async function upkeepOf(...outcomes: readonly (boolean | AgentError)[]) {
  const open = openJournal();
  const left = [...outcomes];
  const journal: CommandJournal = {
    ...open.journal,
    prune: async () => {
      const outcome = left.shift() ?? false;
      if (outcome instanceof AgentError) {
        throw outcome;
      }
      return outcome;
    },
  };
  const [clock, log, stop] = [manualClock(), memoryLog(), new AbortController()];
  const { done } = await journalUpkeep({ clock, log, journal }).start(stop.signal);
  return {
    log,
    done,
    /** How long it waits before each of the next rounds. */
    pauses: async (count: number) => {
      const pauses: number[] = [];
      for (let round = 0; round < count; round += 1) {
        await clock.whenSleeping(1);
        const [ms = 0] = clock.remainingMs();
        pauses.push(ms);
        clock.advance(ms);
      }
      return pauses;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done.catch(() => undefined);
      open[Symbol.dispose]();
    },
  };
}

test('journalUpkeep() goes on at once while there is more to forget', async () => {
  await using upkeep = await upkeepOf(true, true, false, false);
  expect(await upkeep.pauses(4)).toEqual([50, 50, 60_000, 60_000]);
});

test('journalUpkeep() tries often while the disk takes nothing, and says so once', async () => {
  const full = new AgentError('DISK_FULL', 'No space is left', { hint: 'Look' });
  await using upkeep = await upkeepOf(full, full, false);
  expect(await upkeep.pauses(3)).toEqual([5_000, 5_000, 60_000]);
  expect(upkeep.log.entries.map(({ level, message }) => ({ level, message }))).toEqual([
    { level: 'error', message: 'the journal cannot be written; commands wait' },
    { level: 'info', message: 'the journal can be written again' },
  ]);
});

test('journalUpkeep() ends the daemon when the store itself is damaged', async () => {
  await using upkeep = await upkeepOf(new AgentError('INTERNAL', 'malformed'));
  await expect(upkeep.done).rejects.toMatchObject({ code: 'INTERNAL' });
});
