import { type Bell, bell } from '../../core/bell.ts';
import { AgentError, toAgentError } from '../../core/errors.ts';
import { loopBudget } from '../../core/loop-budget.ts';
import type { Log } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import type { Span, Traces } from '../../core/traces.ts';
import { settledWithin, within } from '../../core/waiting.ts';
import type { Command, CommandResult } from '../../protocol/rest.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import type { JournalEntry } from '../../store/journal/rows.ts';
import { writePatiently } from '../../store/patient-write.ts';
import { isPassing } from '../../store/trouble.ts';
import type { CommandDeps, CommandHandler } from './handler.ts';
import type { CommandProgress } from './progress.ts';
import { type CommandQueue, commandQueue, type QueuedCommand } from './queue.ts';
import { type ResultTimes, resultOfError } from './result.ts';
import { runnable } from './runnable.ts';
import { type RunningCommand, runCommand } from './running.ts';
import { targetOf } from './target.ts';

/** Commands that run at once, at most. Urgent ones have separate places. */
export const RUNNING_MAX = { urgent: 4, normal: 8 } as const;
/** How long the daemon waits for running commands when it stops. */
const STOP_GRACE_MS = 5_000;
/** Longest error of a command in the log, characters: the result has it whole. */
const LOGGED_ERROR_LENGTH_MAX = 500;
/** A handler that nothing could stop for this long is ended by ending the whole daemon. */
export const HUNG_HANDLER_MS = 10 * 60_000;

export interface ExecutorDeps extends CommandDeps {
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly progress: CommandProgress;
  /** Told of every command that ends. */
  readonly ended: (command: EndedCommand) => void;
  /** Absent where no traces are made. */
  readonly traces?: Traces | undefined;
  /** Called once, when the first command comes: most of the daemon's code is behind it. */
  readonly loadHandlers: () => Promise<readonly CommandHandler[]>;
}

/** How a command ended. `refused`: it was not run; `cancelled`: somebody asked for that. */
export interface EndedCommand {
  readonly id: string;
  /** As the control plane wrote it: it may be unknown here. */
  readonly type: string;
  readonly outcome: 'succeeded' | 'failed' | 'refused' | 'cancelled';
  readonly durationMs: number;
}

const OUTCOMES: Readonly<Record<string, EndedCommand['outcome']>> = {
  COMMAND_UNSUPPORTED: 'refused',
  COMMAND_INVALID: 'refused',
  POLICY_DENIED: 'refused',
  COMMAND_CANCELLED: 'cancelled',
};

export interface ExecutorCounts {
  readonly succeeded: number;
  readonly failed: number;
}

export interface CommandExecutor extends Service {
  counts(): ExecutorCounts;
}

interface Engine extends ExecutorDeps {
  /** Empty until the first command comes. */
  handlers: readonly CommandHandler[];
  readonly queue: CommandQueue;
  /** How to cancel a command that has its place, even before it begins. */
  readonly running: Map<string, AbortController>;
  readonly busy: { urgent: number; normal: number };
  readonly counted: { succeeded: number; failed: number };
  readonly wake: Bell;
  readonly stop: AbortSignal;
  /** The sequence up to which commands were taken from the journal. */
  takenUpTo: number;
  /** The failure that ends the executor, and so the daemon. */
  failure: unknown;
}

/**
 * Takes commands from the journal and runs each when its lane is free, the oldest first. Whatever
 * happens to a command ends in exactly one result in the journal; when the daemon stops meanwhile,
 * the command stays open and is taken up at the next start. Each command is read and checked once
 * when it comes and once when it begins: those that wait cost nothing.
 */
export function commandExecutor(deps: ExecutorDeps): CommandExecutor {
  const counted = { succeeded: 0, failed: 0 };
  return {
    name: 'command-executor',
    counts: () => ({ ...counted }),
    start: async (stop) => {
      const engine: Engine = {
        ...deps,
        counted,
        stop,
        queue: commandQueue(),
        running: new Map(),
        wake: bell(),
        handlers: [],
        busy: { urgent: 0, normal: 0 },
        takenUpTo: 0,
        failure: undefined,
      };
      return { done: run(engine) };
    },
  };
}

async function run(engine: Engine): Promise<void> {
  const { stop, wake, journal } = engine;
  const listening = (async () => {
    while (!stop.aborted) {
      await journal.whenWork(stop);
      wake.ring();
    }
  })();
  while (!stop.aborted) {
    await takeIn(engine);
    await cancelAsked(engine);
    startRunnable(engine, 'urgent');
    startRunnable(engine, 'normal');
    await wake.wait(stop);
    if (engine.failure !== undefined) {
      throw engine.failure;
    }
  }
  await listening;
  await ended(engine);
}

/** Reads the commands that came since the last time. */
async function takeIn(engine: Engine): Promise<void> {
  const budget = loopBudget(engine);
  while (!engine.stop.aborted) {
    const next = engine.journal.nextOpen(engine.takenUpTo);
    if (next === undefined) {
      return;
    }
    const entry = next.textSet === undefined ? next : await engine.journal.whole(next);
    const { id } = entry.command;
    if (engine.handlers.length === 0) {
      engine.handlers = await engine.loadHandlers();
    }
    const ready = runnable(engine, entry);
    if (ready instanceof AgentError) {
      await answer(engine, entry, ready);
    } else {
      const { handler, prepared } = ready;
      const { lane } = prepared;
      engine.queue.add({ id, sequence: entry.sequence, lane, priority: handler.priority });
    }
    engine.takenUpTo = entry.sequence;
    if (budget.spent()) {
      await budget.rest();
    }
  }
}

/** Stops running commands; waiting ones are answered without waiting for their lane. */
async function cancelAsked(engine: Engine): Promise<void> {
  for (const id of engine.journal.takeCancelled()) {
    engine.running.get(id)?.abort();
    const entry = engine.queue.remove(id) ? engine.journal.find(id) : undefined;
    const ready = entry === undefined ? undefined : runnable(engine, entry);
    if (entry !== undefined && ready instanceof AgentError) {
      await answer(engine, entry, ready);
    }
  }
}

function startRunnable(engine: Engine, priority: QueuedCommand['priority']): void {
  while (engine.busy[priority] < RUNNING_MAX[priority]) {
    const queued = engine.queue.take(priority);
    if (queued === undefined) {
      return;
    }
    const cancelled = new AbortController();
    engine.busy[priority] += 1;
    engine.running.set(queued.id, cancelled);
    void occupy(engine, queued, cancelled.signal);
  }
}

/**
 * Lasts from the moment that a command takes its place and its lane until both are free. A handler
 * that goes on after it was told to stop gives back its place but not its lane: two handlers at
 * once might harm what the lane protects.
 */
async function occupy(
  engine: Engine,
  queued: QueuedCommand,
  cancelled: AbortSignal,
): Promise<void> {
  try {
    const ran = await runOne(engine, queued, cancelled);
    const stillRuns = ran?.stillRuns();
    engine.running.delete(queued.id);
    engine.busy[queued.priority] -= 1;
    if (stillRuns !== undefined) {
      engine.wake.ring();
      await hungHandler(engine, queued, stillRuns);
    }
    engine.queue.release(queued.lane);
  } catch (thrown) {
    engine.running.delete(queued.id);
    // A full disk throws only when the daemon stops: the command is taken up at the next start.
    engine.failure ??= isPassing(toAgentError(thrown)) ? undefined : thrown;
  }
  engine.wake.ring();
}

/**
 * @returns the command that ran, once it is answered or left for the next start; undefined when it
 *   did not run
 */
async function runOne(
  engine: Engine,
  queued: QueuedCommand,
  cancelled: AbortSignal,
): Promise<RunningCommand | undefined> {
  const { clock, journal, stop } = engine;
  const found = journal.find(queued.id);
  if (found === undefined) {
    return undefined;
  }
  const entry = await journal.whole(found);
  // Checked again: the policy may have changed while it waited.
  const ready = runnable(engine, entry);
  if (ready instanceof AgentError) {
    await answer(engine, entry, ready);
    return undefined;
  }
  const attempt = await writePatiently(engine, () => journal.begin(queued.id), stop);
  const startedAt = clock.monotonic();
  const span = beginSpan(engine, entry.command, attempt);
  const begin = () => runCommand(engine, { ...ready, entry, attempt, cancelled }, stop);
  const running = span === undefined ? begin() : span.run(begin);
  const make = await running.answered;
  engine.progress.forget(queued.id);
  if (make === undefined) {
    span?.end({ error: 'SHUTTING_DOWN' });
    return running;
  }
  await finishTraced(engine, entry, span, make, attempt, clock.monotonic() - startedAt);
  return running;
}

function beginSpan({ traces }: Engine, command: Command, attempt: number): Span | undefined {
  const { id, type, traceparent } = command;
  const parent = typeof traceparent === 'string' ? traceparent : undefined;
  return traces?.begin(`command ${type}`, parent, {
    kind: 'consumer',
    attributes: {
      'pipeops.command.id': id,
      'pipeops.command.type': type,
      'pipeops.command.attempt': attempt,
    },
  });
}

async function hungHandler(
  engine: Engine,
  { id, lane }: QueuedCommand,
  work: Promise<void>,
): Promise<void> {
  engine.log.error('a command does not stop; its lane stays closed', { command_id: id, lane });
  const ended = await settledWithin(engine.clock, HUNG_HANDLER_MS, engine.stop, work);
  if (!ended && !engine.stop.aborted) {
    throw new AgentError('INTERNAL', `The command ${id} does not stop; the agent restarts`);
  }
}

/** Ends a command that does not run. */
async function answer(engine: Engine, entry: JournalEntry, error: AgentError): Promise<void> {
  const span = beginSpan(engine, entry.command, entry.attempts);
  const make = (times: ResultTimes) => resultOfError(error, times);
  await finishTraced(engine, entry, span, make, entry.attempts, 0);
}

async function finishTraced(
  engine: Engine,
  entry: JournalEntry,
  span: Span | undefined,
  make: (times: ResultTimes) => CommandResult,
  ...rest: readonly [attempts: number, durationMs: number]
): Promise<void> {
  const traced =
    span === undefined
      ? make
      : (times: ResultTimes) => ({ ...make(times), traceparent: span.traceparent });
  const result = await finish(engine, entry, traced, ...rest);
  span?.end({ error: result.error_code });
}

async function finish(
  engine: Engine,
  entry: JournalEntry,
  make: (times: ResultTimes) => CommandResult,
  attempts: number,
  durationMs: number,
): Promise<CommandResult> {
  const { id, type } = entry.command;
  const finishedAt = engine.clock.now();
  const began = attempts === 0 ? null : new Date(finishedAt.getTime() - durationMs).toISOString();
  const startedAt = entry.startedAt ?? began;
  const result = make({ attempts, startedAt, finishedAt, durationMs });
  await writePatiently(engine, () => engine.journal.finish(id, result), engine.stop);
  engine.counted[result.success ? 'succeeded' : 'failed'] += 1;
  const outcome = result.success ? 'succeeded' : (OUTCOMES[result.error_code ?? ''] ?? 'failed');
  engine.ended({ id, type, outcome, durationMs });
  engine.log.info(result.success ? 'command succeeded' : 'command failed', {
    command_id: id,
    command_type: type,
    target: targetOf(entry.command.payload),
    duration_ms: Math.round(durationMs),
    attempts,
    error_code: result.error_code,
    // Redacted when the result was made.
    error: result.error?.slice(0, LOGGED_ERROR_LENGTH_MAX),
  });
  return result;
}

/**
 * Waits a limited time for running commands: those that do not stop are taken up at the next start.
 */
async function ended(engine: Engine): Promise<void> {
  const isWaitedFor = () => engine.running.size > 0 && engine.failure === undefined;
  await within(engine.clock, STOP_GRACE_MS, undefined, async (signal) => {
    while (isWaitedFor() && !signal.aborted) {
      await engine.wake.wait(signal);
    }
  });
  if (isWaitedFor()) {
    engine.log.error('commands do not stop', { count: engine.running.size });
  }
}
