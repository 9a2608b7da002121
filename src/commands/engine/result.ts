import type { AgentError } from '../../core/errors.ts';
import { cutInTheMiddle } from '../../core/text/middle-cut.ts';
import { COMMAND_OUTPUT_LIMIT_BYTES, type CommandResult } from '../../protocol/rest.ts';
import { AGENT_MESSAGE_LIMIT_BYTES } from '../../protocol/session/messages.ts';
import type { CommandOutcome } from './handler.ts';
import { redactData } from './secrets.ts';

/** Largest result as JSON, bytes: with its envelope it fits into one message of an agent. */
export const RESULT_LIMIT_BYTES = AGENT_MESSAGE_LIMIT_BYTES - 512 * 1024;
/** Data up to this size as JSON is kept whole when the output beside it is too long. */
const DATA_KEPT_BYTES = RESULT_LIMIT_BYTES / 2;
/** Longest text of an error, bytes. */
const ERROR_LIMIT_BYTES = 16 * 1024;

export interface ResultTimes {
  readonly attempts: number;
  /** ISO time of the first attempt; null when it never began. */
  readonly startedAt: string | null;
  readonly finishedAt: Date;
  readonly durationMs: number;
}

/** @param secrets values that must not appear in it */
export function resultOfOutcome(
  outcome: CommandOutcome<Record<string, unknown>>,
  times: ResultTimes,
  secrets: readonly string[] = [],
): CommandResult {
  return result(outcome, times, secrets);
}

export function resultOfError(
  error: AgentError,
  times: ResultTimes,
  secrets: readonly string[] = [],
): CommandResult {
  // A stopped command reports in its details what its data would have said.
  const truncated = error.details?.['truncated'] === true;
  return result({ output: '', data: error.details, failure: error, truncated }, times, secrets);
}

interface Told extends Omit<CommandOutcome<Record<string, unknown>>, 'data'> {
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

function result(
  { output, data, revealed, failure, truncated = false }: Told,
  times: ResultTimes,
  secrets: readonly string[],
): CommandResult {
  const bounded = cutInTheMiddle(output, COMMAND_OUTPUT_LIMIT_BYTES, secrets);
  const whole: CommandResult = {
    success: failure === undefined,
    output: bounded.text,
    ...(failure === undefined
      ? {}
      : { error: errorText(failure, secrets), error_code: failure.code }),
    ...(data === undefined ? {} : { data: { ...redactData(data, secrets), ...revealed } }),
    metadata: {
      attempts: times.attempts,
      started_at: times.startedAt,
      finished_at: times.finishedAt.toISOString(),
      duration_ms: Math.max(0, Math.round(times.durationMs)),
      truncated: truncated || bounded.truncated,
    },
    timestamp: times.finishedAt.toISOString(),
  };
  return fitted(whole);
}

function errorText(failure: AgentError, secrets: readonly string[]): string {
  const hint = failure.hint === undefined ? '' : ` (${failure.hint})`;
  return cutInTheMiddle(`${failure.message}${hint}`, ERROR_LIMIT_BYTES, secrets).text;
}

/**
 * A result that fits into no message would never be delivered: it is cut, and says what it left
 * out.
 */
function fitted(whole: CommandResult): CommandResult {
  const bytes = sizeOf(whole);
  if (bytes <= RESULT_LIMIT_BYTES) {
    return whole;
  }
  const { data, ...rest } = whole;
  const dataBytes = sizeOf(data ?? {});
  const isTooMuch = dataBytes > DATA_KEPT_BYTES;
  const kept = isTooMuch ? { left_out_bytes: dataBytes } : data;
  const left = kept === undefined ? {} : { data: kept };
  const metadata = { ...whole.metadata, truncated: true };
  let limitBytes = COMMAND_OUTPUT_LIMIT_BYTES;
  let shorter: CommandResult = { ...rest, ...left, metadata };
  // Control characters take six bytes in JSON: an output within its limit may still be too large.
  while (sizeOf(shorter) > RESULT_LIMIT_BYTES) {
    limitBytes /= 2;
    shorter = { ...shorter, output: cutInTheMiddle(whole.output, limitBytes).text };
  }
  return shorter;
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
