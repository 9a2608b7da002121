import { toAgentError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { isPassing } from '../trouble.ts';
import type { CommandJournal } from './commands.ts';

/** Between two looks at what can be forgotten. */
const UPKEEP_INTERVAL_MS = 60_000;
/** Between two batches, so that others get their turn. */
const BATCH_PAUSE_MS = 50;
/** Between two tries to write while the disk does not take it. */
const TROUBLE_INTERVAL_MS = 5_000;

/**
 * Keeps the journal small. Its write is also the probe that finds out when a full disk has room
 * again, where nothing else is written.
 */
export function journalUpkeep(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
}): Service {
  return {
    name: 'journal-upkeep',
    start: async (signal) => ({ done: keepUp(deps, signal) }),
  };
}

async function keepUp(deps: Parameters<typeof journalUpkeep>[0], signal: AbortSignal) {
  const { clock, log, journal } = deps;
  let inTrouble = false;
  let pauseMs = UPKEEP_INTERVAL_MS;
  do {
    try {
      pauseMs = (await journal.prune()) ? BATCH_PAUSE_MS : UPKEEP_INTERVAL_MS;
      if (inTrouble) {
        log.info('the journal can be written again');
      }
      inTrouble = false;
    } catch (thrown) {
      const error = toAgentError(thrown);
      if (!isPassing(error)) {
        throw error;
      }
      if (!inTrouble) {
        log.error('the journal cannot be written; commands wait', {
          error_code: error.code,
          error: error.message,
        });
      }
      inTrouble = true;
      pauseMs = TROUBLE_INTERVAL_MS;
    }
  } while (await clock.sleep(pauseMs, signal));
}
