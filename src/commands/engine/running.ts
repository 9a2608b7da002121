import { AgentError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { redact } from '../../core/text/redact.ts';
import type { CommandResult } from '../../protocol/rest.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import type { JournalEntry } from '../../store/journal/rows.ts';
import { writePatiently } from '../../store/patient-write.ts';
import type { CommandContext, CommandDeps } from './handler.ts';
import type { CommandProgress } from './progress.ts';
import { type ResultTimes, resultOfError, resultOfOutcome } from './result.ts';
import {
  answerOf,
  deadlineMs,
  type Ending,
  endingOf,
  type Interruption,
  STOP_GRACE_MS,
} from './run.ts';
import type { Runnable } from './runnable.ts';
import { redactData, redactingLog, secretsOf } from './secrets.ts';

interface RunDeps extends CommandDeps {
  readonly log: Log;
  readonly journal: Pick<CommandJournal, 'checkpoint'>;
  readonly progress: CommandProgress;
}

interface Attempt extends Runnable {
  readonly entry: JournalEntry;
  /** From 1. */
  readonly attempt: number;
  readonly cancelled: AbortSignal;
}

export interface RunningCommand {
  /** Makes the result; undefined when the command is taken up at the next start instead. */
  readonly answered: Promise<((times: ResultTimes) => CommandResult) | undefined>;
  /** The handler's work, when that goes on after the command was answered. */
  stillRuns(): Promise<void> | undefined;
}

/**
 * One attempt. The handler's signal aborts at the deadline, at a cancel and when the daemon stops;
 * after the grace time the command is answered without it.
 */
export function runCommand(deps: RunDeps, attempt: Attempt, stop: AbortSignal): RunningCommand {
  const { entry, handler, prepared, cancelled } = attempt;
  const { type } = entry.command;
  const deadline = new AbortController();
  const signal = AbortSignal.any([stop, cancelled, deadline.signal]);
  const secrets = secretsOf(entry.command.payload);
  const context = contextOf(deps, attempt, secrets, { signal, stopping: stop });
  context.log.info('command started', { attempt: attempt.attempt });

  let over = false;
  const work = endingOf(() => {
    if (signal.aborted) {
      throw new AgentError('COMMAND_CANCELLED', 'it had not begun; nothing was done');
    }
    return prepared.run(context);
  }).finally(() => {
    over = true;
  });
  const answer = async () => {
    const limitMs = deadlineMs(entry.command, prepared);
    const ending = await endedOrAbandoned(deps.clock, work, limitMs, cancelled, deadline);
    const interruption = interruptionOf(cancelled, deadline.signal, stop);
    const given = answerOf(type, ending, interruption, handler.afterRestart);
    if (given === undefined) {
      context.log.info('command interrupted by the stop of the agent; it will be taken up again');
      return undefined;
    }
    return (times: ResultTimes) =>
      given instanceof AgentError
        ? resultOfError(given, times, secrets)
        : resultOfOutcome(given, times, secrets);
  };
  return {
    answered: answer(),
    stillRuns: () => (over ? undefined : work.then(() => undefined)),
  };
}

function interruptionOf(
  cancelled: AbortSignal,
  deadline: AbortSignal,
  stop: AbortSignal,
): Interruption | undefined {
  if (cancelled.aborted) {
    return 'cancel';
  }
  if (deadline.aborted) {
    return 'deadline';
  }
  return stop.aborted ? 'stop' : undefined;
}

/** Aborts `deadline` when the time is over. */
async function endedOrAbandoned(
  clock: Clock,
  work: Promise<Ending>,
  limitMs: number,
  cancelled: AbortSignal,
  deadline: AbortController,
): Promise<Ending> {
  const over = new AbortController();
  const timers = (async (): Promise<Ending | undefined> => {
    const whole = await clock.sleep(limitMs, AbortSignal.any([over.signal, cancelled]));
    if (whole) {
      deadline.abort();
    }
    const graceOver = await clock.sleep(STOP_GRACE_MS, over.signal);
    return graceOver ? { kind: 'abandoned' } : undefined;
  })();
  const first = await Promise.race([work, timers]);
  over.abort();
  return first ?? (await work);
}

function contextOf(
  deps: RunDeps,
  { entry, attempt }: Attempt,
  secrets: readonly string[],
  { signal, stopping }: Pick<CommandContext, 'signal' | 'stopping'>,
): CommandContext {
  const { id, type } = entry.command;
  const log = redactingLog(deps.log.with({ command_id: id, command_type: type }), secrets);
  let sequence = 0;
  return {
    clock: deps.clock,
    kubernetes: deps.kubernetes,
    openChannels: deps.openChannels,
    askHelper: deps.askHelper,
    releases: deps.releases,
    ownToken: deps.ownToken,
    newestK3s: deps.newestK3s,
    node: deps.node,
    clusterStatus: deps.clusterStatus,
    workElsewhere: deps.workElsewhere,
    policy: deps.policy,
    commandId: id,
    signal,
    stopping,
    log,
    checkpoint: entry.checkpoint,
    setCheckpoint: (value) =>
      writePatiently(deps, () => deps.journal.checkpoint(id, value), signal),
    progress: (text, data) => {
      sequence += 1;
      const message = redact(text, secrets);
      log.debug('command progress', { message });
      deps.progress.report({
        id,
        sequence,
        attempt,
        message,
        ...(data === undefined ? {} : { data: { ...redactData(data, secrets) } }),
      });
    },
  };
}
