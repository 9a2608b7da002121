/**
 * The journal of the server that holds the session, while there are others: each step of a command is in the
 * cluster before it is in the journal, and so before anybody acts on it. What cannot be written there is not
 * acknowledged, not begun, not told; those who ask try again.
 */
import type { Clock } from '../../core/ports.ts';
import type { Command, CommandResult } from '../../protocol/rest.ts';
import type { AcceptOutcome, CancelOutcome } from '../../store/journal/changes.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import { slimResult } from '../../store/journal/rows.ts';
import { linesOf } from './lines.ts';
import type { RecordBook } from './records.ts';
import { sharedResult } from './shared-result.ts';

export interface SharedJournalDeps {
  readonly clock: Clock;
  readonly journal: CommandJournal;
  /** The records of this tenure; undefined while there is no other server. */
  readonly book: () => RecordBook | undefined;
  /** One change of one command at a time. */
  inTurn<T>(commandId: string, work: () => Promise<T>): Promise<T>;
  readonly onDelivered: () => void;
}

export function sharedJournal(deps: SharedJournalDeps): CommandJournal {
  const { journal, inTurn } = deps;
  return {
    ...journal,
    accept: (command) => inTurn(command.id, () => accept(deps, command)),
    cancel: (id) => inTurn(id, () => cancel(deps, id)),
    begin: (id) => inTurn(id, () => begin(deps, id)),
    checkpoint: (id, value) => inTurn(id, () => checkpoint(deps, id, value)),
    finish: (id, result) => inTurn(id, () => finish(deps, id, result)),
    delivered: async (id) => {
      await journal.delivered(id);
      deps.onDelivered();
    },
  };
}

/** The record of a command, where it has one. */
function bookOf({ book }: SharedJournalDeps, commandId: string): RecordBook | undefined {
  const current = book();
  return current?.has(commandId) ? current : undefined;
}

async function accept(deps: SharedJournalDeps, command: Command): Promise<AcceptOutcome> {
  const { clock, journal } = deps;
  const { id, type } = command;
  const book = deps.book();
  if (book === undefined || journal.sharing.stateOf(id) !== undefined) {
    return await journal.accept(command);
  }
  if (book.isFull() && !book.has(id)) {
    return 'full';
  }
  const facts = { attempts: 0, started_at: null, cancelled_at: null };
  await book.add(
    { id, type, accepted_at: clock.now().toISOString(), ...facts },
    { command: await linesOf(deps, command) },
  );
  const past = { attempts: 0, startedAt: null, cancelledAt: null, checkpoint: undefined };
  const outcome = await journal.accept(command, past);
  if (outcome === 'full') {
    await book.remove(id);
  }
  return outcome;
}

async function cancel(deps: SharedJournalDeps, id: string): Promise<CancelOutcome> {
  const { clock, journal } = deps;
  const isOpen = journal.find(id) !== undefined;
  await (isOpen ? bookOf(deps, id) : undefined)?.change(id, (record) => ({
    ...record,
    cancelled_at: record.cancelled_at ?? clock.now().toISOString(),
  }));
  return await journal.cancel(id);
}

async function begin(deps: SharedJournalDeps, id: string): Promise<number> {
  const { clock, journal } = deps;
  const attempts = (journal.find(id)?.attempts ?? 0) + 1;
  await bookOf(deps, id)?.change(id, (record) => ({
    ...record,
    attempts,
    started_at: record.started_at ?? clock.now().toISOString(),
  }));
  return await journal.begin(id);
}

async function checkpoint(deps: SharedJournalDeps, id: string, value: unknown): Promise<void> {
  await bookOf(deps, id)?.change(id, (record) => record, { note: [JSON.stringify(value)] });
  await deps.journal.checkpoint(id, value);
}

async function finish(deps: SharedJournalDeps, id: string, result: CommandResult): Promise<void> {
  const { journal } = deps;
  const book = journal.find(id) === undefined ? undefined : bookOf(deps, id);
  if (book === undefined) {
    await journal.finish(id, result);
    return;
  }
  const text = JSON.stringify(sharedResult(result));
  const isTooMuch = book.isTooMuch(text.length);
  const kept = isTooMuch ? slimResult(result) : result;
  const lines = [isTooMuch ? JSON.stringify(sharedResult(kept)) : text];
  await book.change(id, (record) => record, { command: null, note: null, result: lines });
  await journal.finish(id, kept);
}
