/**
 * The cluster's memory of commands (docs/decisions/0035-memory-of-commands.md): so that when the server
 * that holds the session is gone, another one knows what was acknowledged, begun, noted and answered.
 */
import { type Bell, bell, rungWithin } from '../../core/bell.ts';
import { type AgentError, expectedError, toAgentError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log, Random } from '../../core/ports.ts';
import { settledWithin } from '../../core/waiting.ts';
import { ApiRejection } from '../../kubernetes/api/rejection.ts';
import type { MemoryObjects } from '../../kubernetes/memory/objects.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import { type DeliveredLists, deliveredLists, LIST_COMMANDS_MAX } from './delivered.ts';
import { type RecordBook, recordBook, recordName } from './records.ts';
import { sharedJournal } from './shared-journal.ts';
import { type Reconciled, reconcile, takeInStrays } from './take-over.ts';

/** Between two tries of what the cluster did not take. */
const RETRY_MS = 1_000;
/** Between two looks for records that others have made. */
const LOOK_INTERVAL_MS = 60_000;
/** Bytes of results that are noted at once. */
const NOTED_BYTES_MAX = 1024 * 1024;
/** For the last deliveries, at the stop: the next server would send their results again. */
const LAST_NOTES_MS = 2_000;
/** Records that are taken away at once. */
const REMOVED_AT_ONCE = 8;
/** Bytes of randomness in the name of a tenure. */
const TENURE_BYTES = 8;

export interface ClusterMemoryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly objects: MemoryObjects;
}

export interface ClusterMemory {
  /** For the session and the executor. */
  readonly journal: CommandJournal;
  /**
   * Begins a tenure among several servers: brings what the cluster knows into the journal, and what only the
   * journal knows into the cluster, then goes on to share. Tries until it works.
   * @param from `others`: another server may have had the session since; `alone`: none could
   * @returns false at the signal
   */
  share(from: 'others' | 'alone', signal: AbortSignal): Promise<boolean>;
  /** There is no other server any more: new commands are known here only. */
  keepAlone(): void;
  isShared(): boolean;
  /** Why commands wait for the cluster; undefined once something worked again. */
  trouble(): AgentError | undefined;
  /** Why this server could not learn what the cluster knows; undefined where it can. */
  obstacle(): Promise<string | undefined>;
  /** Notes deliveries in the cluster, and looks for records that others have made, until the signal. */
  keepUp(signal: AbortSignal): Promise<void>;
}

interface Tenure {
  readonly book: RecordBook;
  readonly lists: DeliveredLists;
  /** The journal and the cluster are one. */
  isReady: boolean;
}

interface State extends ClusterMemoryDeps {
  readonly turns: Turns;
  /** Undefined while there is no other server. */
  tenure: Tenure | undefined;
  trouble: AgentError | undefined;
}

export function clusterMemory(deps: ClusterMemoryDeps): ClusterMemory {
  const deliveries = bell();
  const state: State = { ...deps, turns: turns(), tenure: undefined, trouble: undefined };
  return {
    journal: sharedJournal({
      ...deps,
      inTurn: (commandId, work) => state.turns.take(commandId, () => noticing(state, work)),
      book: () => state.tenure?.book,
      onDelivered: deliveries.ring,
    }),
    share: (from, signal) => share(state, from === 'alone', signal),
    keepAlone: () => {
      state.tenure = undefined;
      state.trouble = undefined;
    },
    isShared: () => state.tenure?.isReady ?? false,
    trouble: () => state.trouble,
    obstacle: () => obstacle(deps.objects),
    keepUp: (signal) => keepUp(state, deliveries, signal),
  };
}

/** Notes why the cluster does not take a step, and that it does again. */
async function noticing<T>(state: State, work: () => Promise<T>): Promise<T> {
  try {
    const done = await work();
    state.trouble = undefined;
    return done;
  } catch (thrown) {
    const error = toAgentError(thrown);
    state.trouble = error.code === 'MEMORY_UNREACHABLE' ? error : state.trouble;
    throw thrown;
  }
}

/** Any name will do: what is asked is whether this may be asked. */
async function obstacle(objects: MemoryObjects): Promise<string | undefined> {
  try {
    await objects.find(recordName(''));
    return undefined;
  } catch (thrown) {
    if (thrown instanceof ApiRejection) {
      return `it may not read the memory of commands: ${thrown.message}`;
    }
    throw thrown;
  }
}

async function share(state: State, wasAlone: boolean, signal: AbortSignal): Promise<boolean> {
  const { clock, log, random, objects } = state;
  const holder = Buffer.from(random.bytes(TENURE_BYTES)).toString('hex');
  const tenure: Tenure = {
    book: recordBook(objects, holder),
    lists: deliveredLists(objects),
    isReady: false,
  };
  // From here on new commands have a record; those before get one, also those that are just coming in.
  state.tenure = tenure;
  await state.turns.settled();
  const complain = limitedLog(clock, (message, fields) => log.warn(message, fields));
  const startedAt = clock.monotonic();
  while (!signal.aborted) {
    try {
      await noticing(state, async () => {
        await reconcile(reconciled(state, tenure, wasAlone));
        await noteDeliveries(state, tenure);
      });
      tenure.isReady = true;
      log.info('the journal has what the cluster knows of commands', {
        duration_ms: Math.round(clock.monotonic() - startedAt),
      });
      return true;
    } catch (thrown) {
      const { code, message } = expectedError(thrown);
      complain('cannot learn yet what the cluster knows of commands', {
        error_code: code,
        error: message,
      });
    }
    await clock.sleep(RETRY_MS, signal);
  }
  return false;
}

function reconciled(state: State, tenure: Tenure, wasAlone: boolean): Reconciled {
  return { ...state, ...tenure, wasAlone, inTurn: state.turns.take };
}

async function keepUp(state: State, deliveries: Bell, signal: AbortSignal): Promise<void> {
  const { clock, log } = state;
  const complain = limitedLog(clock, (message, fields) => log.warn(message, fields));
  let lookAt = clock.monotonic() + LOOK_INTERVAL_MS;
  while (!signal.aborted) {
    const { tenure } = state;
    try {
      if (tenure?.isReady) {
        await noteDeliveries(state, tenure);
      }
      if (tenure?.isReady && clock.monotonic() >= lookAt) {
        lookAt = clock.monotonic() + LOOK_INTERVAL_MS;
        await takeInStrays(reconciled(state, tenure, false));
      }
      await rungWithin(state, deliveries, LOOK_INTERVAL_MS, signal);
    } catch (thrown) {
      const { code, message } = expectedError(thrown);
      complain('the memory of the cluster is behind', { error_code: code, error: message });
      await clock.sleep(RETRY_MS, signal);
    }
  }
  if (state.tenure?.isReady) {
    const last = noteDeliveries(state, state.tenure).catch(() => undefined);
    await settledWithin(clock, LAST_NOTES_MS, undefined, last);
  }
}

/** Then their records are not needed any more. */
async function noteDeliveries({ journal }: State, { book, lists }: Tenure): Promise<void> {
  for (;;) {
    const ended = journal.sharing.toNote(LIST_COMMANDS_MAX, NOTED_BYTES_MAX);
    if (ended.length === 0) {
      return;
    }
    await lists.add(ended);
    const ids = ended.map(({ id }) => id);
    for (let at = 0; at < ids.length; at += REMOVED_AT_ONCE) {
      await Promise.all(ids.slice(at, at + REMOVED_AT_ONCE).map(book.remove));
    }
    await journal.sharing.noted(ids);
  }
}

interface Turns {
  /** Works of the same command come one after the other. */
  take<T>(commandId: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when all that were asked for so far are over. */
  settled(): Promise<void>;
}

/** Who asks waits for what it asked for, so that those that wait have a limit. */
function turns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return {
    take: async (commandId, work) => {
      const turn = (last.get(commandId) ?? Promise.resolve()).then(work);
      const over = turn.catch(() => undefined);
      last.set(commandId, over);
      try {
        return await turn;
      } finally {
        if (last.get(commandId) === over) {
          last.delete(commandId);
        }
      }
    },
    settled: async () => {
      await Promise.all(last.values());
    },
  };
}
