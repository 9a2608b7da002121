/**
 * Makes the journal of this server and the memory of the cluster one, when this server begins to hold the
 * session, or is the only one no longer. What the cluster knows of a command counts: its record was written
 * before each step. Only where this server was alone its own journal counts, because nobody else could
 * have gone on.
 */
import { AgentError, toAgentError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Lines, MemoryObject, MemoryObjects } from '../../kubernetes/memory/objects.ts';
import type { CommandRecord } from '../../protocol/command-record.ts';
import type { CommandResult } from '../../protocol/rest.ts';
import type { CommandPast } from '../../store/journal/changes.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import { DELIVERED_KEPT_MS } from '../../store/journal/pruning.ts';
import type { JournalEntry } from '../../store/journal/rows.ts';
import type { HeldCommand } from '../../store/journal/sharing.ts';
import { resultOfError } from '../engine/result.ts';
import type { DeliveredLists } from './delivered.ts';
import { commandOf, linesOf } from './lines.ts';
import {
  isDamage,
  type KnownRecord,
  type RecordBook,
  type RecordValues,
  reach,
  recordOf,
} from './records.ts';
import { sharedResult } from './shared-result.ts';

/** Records that are made one's own at once. */
const CLAIMED_AT_ONCE = 8;

export interface Reconciled {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly objects: MemoryObjects;
  readonly book: RecordBook;
  readonly lists: DeliveredLists;
  /** Nobody else could have changed anything. */
  readonly wasAlone: boolean;
  /** One change of one command at a time. */
  inTurn<T>(commandId: string, work: () => Promise<T>): Promise<T>;
}

/** Can be run again when it failed anywhere. @throws AgentError MEMORY_UNREACHABLE, DISK_FULL … */
export async function reconcile(deps: Reconciled): Promise<void> {
  const { sharing } = deps.journal;
  // In this order: what is noted as delivered has a record until then.
  const found = await records(deps);
  await deps.lists.readAll((commands) => sharing.takeFinished(commands, 'delivered'));
  for (let at = 0; at < found.length; at += CLAIMED_AT_ONCE) {
    const batch = found.slice(at, at + CLAIMED_AT_ONCE);
    const claimed = await Promise.all(
      batch.map(({ object, record }) => deps.book.claim(object, record)),
    );
    for (const known of claimed) {
      if (known === undefined) {
        // Who is about to lose the session has noted its delivery, perhaps behind the lists that were read.
        throw new AgentError('BUSY', 'A command of the cluster was delivered just now', {
          hint: 'Another server still ends its session; this is tried again by itself',
        });
      }
      await deps.inTurn(known.record.id, () => takeInOrAnswer(deps, known));
    }
  }
  let after = 0;
  for (;;) {
    const held = sharing.nextHeld(after);
    if (held === undefined) {
      return;
    }
    await deps.inTurn(held.id, () => recordHeld(deps, held));
    after = held.sequence;
  }
}

/**
 * Takes in records of commands that the journal does not know: made since by a server that had lost the
 * session and did not know it yet, or here, and then something went wrong.
 */
export async function takeInStrays(deps: Reconciled): Promise<void> {
  const { book, journal } = deps;
  for (const { object, record } of await records(deps)) {
    await deps.inTurn(record.id, async () => {
      const isKnown = book.has(record.id) && journal.sharing.stateOf(record.id) !== undefined;
      const claimed = isKnown ? undefined : await book.claim(object, record);
      if (claimed !== undefined) {
        await takeInOrAnswer(deps, claimed);
      }
    });
  }
}

/** In the order of their acceptance. */
async function records(deps: Reconciled): Promise<readonly KnownRecord[]> {
  const found: KnownRecord[] = [];
  const onObject = async (object: MemoryObject) => {
    const record = recordOf(object);
    if (record === undefined) {
      deps.log.error('a command in the memory of the cluster cannot be read; it stays there', {
        object: object.name,
      });
    } else {
      found.push({ object, record });
    }
  };
  await reach(() => deps.objects.each('command', onObject));
  return found.sort((a, b) => a.record.position - b.record.position);
}

/** A command that cannot be read any more is answered: nothing else waits for it. */
async function takeInOrAnswer(deps: Reconciled, claimed: KnownRecord): Promise<void> {
  const { journal, clock, log } = deps;
  const { id, type, attempts, started_at: startedAt } = claimed.record;
  try {
    await takeIn(deps, claimed);
  } catch (thrown) {
    if (!isDamage(thrown)) {
      throw thrown;
    }
    log.error('what the cluster knows of a command is damaged', {
      command_id: id,
      error: toAgentError(thrown).message,
    });
    if (!deps.wasAlone || journal.sharing.stateOf(id) === undefined) {
      const result = outcomeUnknown({ attempts, startedAt: startedAt ?? undefined }, clock.now());
      await journal.sharing.takeFinished([{ id, type, result }], 'done');
    }
    await overwrite(deps, id);
  }
}

async function takeIn(deps: Reconciled, claimed: KnownRecord): Promise<void> {
  const { journal, book } = deps;
  const { sharing } = journal;
  const { object, record } = claimed;
  const { id, type } = record;
  const state = sharing.stateOf(id);
  if (state === 'delivered') {
    // Else that is noted next, and then its record goes.
    await (sharing.isNoted(id) ? book.remove(id) : undefined);
    return;
  }
  const lines = await book.read(claimed, 'result');
  if (state !== undefined && (deps.wasAlone || (state === 'done' && lines === undefined))) {
    await overwrite(deps, id);
    return;
  }
  if (lines !== undefined) {
    const result = JSON.parse(lines.join('')) as CommandResult; // Written by us.
    await sharing.takeFinished([{ id, type, result }], 'done');
    return;
  }
  const past = await pastOf(deps, claimed);
  if (state !== undefined) {
    await sharing.setPast(id, past);
    return;
  }
  const command = await book.read(claimed, 'command');
  if (command === undefined) {
    await book.remove(id); // It was never complete, and so never acknowledged.
    return;
  }
  const outcome = await journal.accept(await commandOf(deps, command), past);
  if (outcome === 'full') {
    throw new AgentError('BUSY', 'The journal has no room for the commands of the cluster', {
      hint: 'It goes on as soon as results are delivered',
    });
  }
  deps.log.info('took over a command', { command_id: id, command_type: type, object: object.name });
}

async function pastOf(deps: Reconciled, claimed: KnownRecord): Promise<CommandPast> {
  const note = await deps.book.read(claimed, 'note');
  const { attempts, started_at: startedAt, cancelled_at: cancelledAt } = claimed.record;
  const checkpoint = note === undefined ? undefined : JSON.parse(note.join(''));
  return { attempts, startedAt, cancelledAt, checkpoint };
}

/** A command of this journal that has no record yet gets one. */
async function recordHeld(deps: Reconciled, held: HeldCommand): Promise<void> {
  const { journal, book, clock } = deps;
  const { sharing } = journal;
  if (book.has(held.id) || held.shared === 2) {
    return;
  }
  if (held.isOpen && held.shared === 1 && !deps.wasAlone) {
    // It had a record: whoever took that away has finished it, and that is forgotten by now, or it was
    // taken away by hand.
    const result = outcomeUnknown(journal.find(held.id), clock.now());
    const isOld = clock.now().getTime() - Date.parse(held.acceptedAt) > DELIVERED_KEPT_MS;
    const isForgotten = isOld || held.acceptedAt < (deps.lists.forgottenBefore() ?? '');
    await sharing.takeFinished([{ ...held, result }], isForgotten ? 'delivered' : 'done');
    if (isForgotten) {
      return;
    }
  }
  const local = await localState(deps, held.id);
  if (local === undefined) {
    return; // Delivered meanwhile.
  }
  if (book.isFull()) {
    throw new AgentError('BUSY', 'The cluster has no room for all commands of this server yet', {
      hint: 'It goes on as commands end and their results are delivered',
    });
  }
  await book.add(
    { id: held.id, type: held.type, accepted_at: held.acceptedAt, ...local.facts },
    local.values,
  );
  await sharing.hasRecord(held.id);
}

/** What this journal knows counts. */
async function overwrite(deps: Reconciled, id: string): Promise<void> {
  const local = await localState(deps, id);
  if (local !== undefined) {
    await deps.book.change(id, (record) => ({ ...record, ...local.facts }), local.values);
    await deps.journal.sharing.hasRecord(id);
  }
}

interface LocalState {
  readonly facts: Pick<CommandRecord, 'attempts' | 'started_at' | 'cancelled_at'>;
  readonly values: RecordValues;
}

/** @returns undefined for a command that is neither open nor has a result to be sent */
async function localState(deps: Reconciled, id: string): Promise<LocalState | undefined> {
  const { journal, clock } = deps;
  const entry = journal.find(id);
  if (entry === undefined) {
    const isDone = journal.sharing.stateOf(id) === 'done';
    const result = isDone ? journal.sharing.resultOf(id) : undefined;
    return result === undefined
      ? undefined
      : {
          facts: { attempts: result.metadata.attempts, started_at: null, cancelled_at: null },
          values: { command: null, note: null, result: [JSON.stringify(sharedResult(result))] },
        };
  }
  const { command, checkpoint, attempts, startedAt, cancelled } = await journal.whole(entry);
  const note: Lines | null = checkpoint === undefined ? null : [JSON.stringify(checkpoint)];
  return {
    facts: {
      attempts,
      started_at: startedAt ?? null,
      cancelled_at: cancelled ? clock.now().toISOString() : null,
    },
    values: { command: await linesOf(deps, command), note, result: null },
  };
}

function outcomeUnknown(
  entry: Partial<Pick<JournalEntry, 'attempts' | 'startedAt'>> | undefined,
  finishedAt: Date,
): CommandResult {
  const { attempts = 0, startedAt = null } = entry ?? {};
  return resultOfError(
    new AgentError(
      'COMMAND_OUTCOME_UNKNOWN',
      'Another server had this command, and the cluster does not know what became of it',
      { hint: 'Look whether it had its effect, then send a new command if need be' },
    ),
    { attempts, startedAt, finishedAt, durationMs: 0 },
  );
}
