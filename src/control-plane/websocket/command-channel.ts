import { toAgentError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log } from '../../core/ports.ts';
import {
  type CommandAckPayload,
  CommandCancelPayload,
  MESSAGE_LIMIT_BYTES,
  ResultAckPayload,
} from '../../protocol/session/messages.ts';
import type { CommandInbox, ProgressFeed, ResultOutbox } from '../session/ports.ts';
import { readCommand } from '../session/read-command.ts';
import type { Connection } from './connection.ts';

/** Messages being committed, at most. Beyond that a command is answered `full`. */
const COMMITTING_MAX = 256;
/**
 * Characters being committed, at most: two of the largest messages. Beyond that a command is
 * answered `full`.
 */
const COMMITTING_CHARS_MAX = 2 * MESSAGE_LIMIT_BYTES;
/** Results that are sent but not yet acknowledged, at most. */
const UNACKNOWLEDGED_MAX = 64;
/** A result is sent again after this, then after twice as long each time, up to the longest. */
const RESEND_MS = { first: 10_000, longest: 120_000 };
/**
 * Results and progress wait while more bytes than this have not left, so that heartbeats need not.
 */
const BUFFERED_LIMIT_BYTES = 1024 * 1024;
const BUFFERED_WAIT_MS = 50;

export interface CommandChannelDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly inbox: CommandInbox;
  readonly outbox: ResultOutbox;
  readonly progress: ProgressFeed;
}

/** The command messages of one connection. */
export interface CommandChannel {
  /**
   * Takes `command`, `command_cancel` and `command_ack`.
   * @param chars how long the message was
   */
  message(
    type: 'command' | 'command_cancel' | 'command_ack',
    payload: unknown,
    chars: number,
  ): void;
  /** Sends results and progress until the signal. */
  run(signal: AbortSignal): Promise<void>;
}

interface Sent {
  dueAt: number;
  waitMs: number;
}

export function commandChannel(deps: CommandChannelDeps, connection: Connection): CommandChannel {
  const sent = new Map<string, Sent>();
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.error(message, fields));
  let committing = 0;
  let committingChars = 0;
  let failed: (error: unknown) => void = () => undefined;
  let woken = new AbortController();
  const wake = () => {
    woken.abort();
  };
  const acknowledge = (payload: CommandAckPayload) => connection.send('command_ack', payload);
  const whileCommitting = (work: Promise<void>, chars: number) => {
    committing += 1;
    committingChars += chars;
    work
      .catch((thrown: unknown) => {
        const error = toAgentError(thrown);
        if (error.code === 'INTERNAL') {
          failed(error);
        } else {
          // On a full disk, for example: nothing is acknowledged, and the peer sends it again.
          complain('what the control plane sent could not be kept', {
            error_code: error.code,
            error: error.message,
          });
        }
      })
      .finally(() => {
        committing -= 1;
        committingChars -= chars;
      });
  };
  const take = async (payload: unknown, chars: number) => {
    const read = readCommand(payload);
    if (typeof read === 'string') {
      complain('the control plane sent a command that cannot be read', {
        error_code: 'COMMAND_INVALID',
        error: read,
      });
      return;
    }
    const isFull = committing >= COMMITTING_MAX || committingChars + chars > COMMITTING_CHARS_MAX;
    const outcome = isFull ? 'full' : await deps.inbox.accept(read);
    if (outcome === 'accepted') {
      deps.log.info('command accepted', { command_id: read.id, command_type: read.type });
    } else if (outcome === 'duplicate') {
      sent.delete(read.id); // If it has finished, its result is sent again.
      wake();
    }
    acknowledge({ id: read.id, of: 'command', outcome });
  };
  const cancel = async (payload: unknown) => {
    const parsed = CommandCancelPayload.safeParse(payload);
    if (!parsed.success) {
      complain('the control plane sent a cancel that cannot be read');
      return;
    }
    const { id } = parsed.data;
    acknowledge({ id, of: 'cancel', outcome: await deps.inbox.cancel(id) });
  };
  const delivered = async (payload: unknown) => {
    const parsed = ResultAckPayload.safeParse(payload);
    if (!parsed.success) {
      complain('the control plane sent an acknowledgement that cannot be read');
      return;
    }
    await deps.outbox.delivered(parsed.data.id);
    sent.delete(parsed.data.id);
    wake();
  };
  const handlers = { command: take, command_cancel: cancel, command_ack: delivered };
  return {
    message: (type, payload, chars) => {
      if (type === 'command' || committing < COMMITTING_MAX) {
        whileCommitting(handlers[type](payload, chars), chars);
      } // Else the peer gets no answer, and sends it again.
    },
    run: async (signal) => {
      const broken = Promise.withResolvers<never>();
      failed = broken.reject;
      const results = sendResults(deps, connection, sent, signal, () => {
        woken = new AbortController();
        return woken.signal;
      });
      await Promise.race([
        Promise.all([results, sendProgress(deps, connection, signal)]),
        broken.promise,
      ]);
    },
  };
}

async function sendResults(
  deps: CommandChannelDeps,
  connection: Connection,
  sent: Map<string, Sent>,
  signal: AbortSignal,
  freshWake: () => AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const wake = freshWake();
    const pending = deps.outbox.pending(UNACKNOWLEDGED_MAX);
    const ids = new Set(pending.map(({ commandId }) => commandId));
    for (const id of [...sent.keys()].filter((known) => !ids.has(known))) {
      sent.delete(id);
    }
    for (const { commandId, result } of pending) {
      const known = sent.get(commandId);
      if (known !== undefined && known.dueAt > deps.clock.monotonic()) {
        continue;
      }
      await roomToSend(deps.clock, connection, signal);
      if (signal.aborted || !connection.send('command_result', { id: commandId, result })) {
        return;
      }
      const waitMs = Math.min(
        RESEND_MS.longest,
        known === undefined ? RESEND_MS.first : known.waitMs * 2,
      );
      sent.set(commandId, { dueAt: deps.clock.monotonic() + waitMs, waitMs });
    }
    await nextSend(
      deps,
      sent,
      pending.length >= UNACKNOWLEDGED_MAX,
      AbortSignal.any([signal, wake]),
    );
  }
}

/** Waits for a new result, a wake-up, or the time to send one again. */
async function nextSend(
  deps: CommandChannelDeps,
  sent: ReadonlyMap<string, Sent>,
  isFull: boolean,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const dueAt = Math.min(...[...sent.values()].map((each) => each.dueAt));
  const waits: Promise<unknown>[] = [];
  if (sent.size > 0) {
    waits.push(deps.clock.sleep(Math.max(0, dueAt - deps.clock.monotonic()), both));
  }
  if (!isFull) {
    waits.push(deps.outbox.whenPending(both));
  }
  await Promise.race(waits);
  over.abort();
}

async function sendProgress(
  deps: CommandChannelDeps,
  connection: Connection,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await deps.progress.whenProgress(signal);
    await roomToSend(deps.clock, connection, signal);
    for (const news of signal.aborted ? [] : deps.progress.take()) {
      connection.send('command_progress', news);
    }
  }
}

async function roomToSend(
  clock: Clock,
  connection: Connection,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted && connection.bufferedBytes() > BUFFERED_LIMIT_BYTES) {
    await clock.sleep(BUFFERED_WAIT_MS, signal);
  }
}
