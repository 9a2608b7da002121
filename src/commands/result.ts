import type { AgentError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { COMMAND_OUTPUT_LIMIT_BYTES, type CommandResult } from '../protocol/rest.ts';
import type { CommandOutcome } from './handler.ts';

export interface ResultTimes {
  readonly attempts: number;
  /** ISO time of the first attempt; null when it never began. */
  readonly startedAt: string | null;
  readonly finishedAt: Date;
  readonly durationMs: number;
}

export function resultOfOutcome(
  outcome: CommandOutcome<Record<string, unknown>>,
  times: ResultTimes,
): CommandResult {
  return {
    ...base(outcome.output, outcome.failure, times),
    data: outcome.data,
  };
}

export function resultOfError(error: AgentError, times: ResultTimes): CommandResult {
  const result = base('', error, times);
  return error.details === undefined ? result : { ...result, data: { ...error.details } };
}

function base(output: string, failure: AgentError | undefined, times: ResultTimes): CommandResult {
  const bounded = cutInTheMiddle(redact(output), COMMAND_OUTPUT_LIMIT_BYTES);
  const hint = failure?.hint === undefined ? '' : ` (${failure.hint})`;
  return {
    success: failure === undefined,
    output: bounded.text,
    ...(failure === undefined
      ? {}
      : { error: redact(`${failure.message}${hint}`), error_code: failure.code }),
    metadata: {
      attempts: times.attempts,
      started_at: times.startedAt,
      finished_at: times.finishedAt.toISOString(),
      duration_ms: Math.round(times.durationMs),
      truncated: bounded.truncated,
    },
    timestamp: times.finishedAt.toISOString(),
  };
}

/** Beginning and end of an output say most; what is lost between them is said. */
export function cutInTheMiddle(
  text: string,
  limitBytes: number,
): { readonly text: string; readonly truncated: boolean } {
  const bytes = Buffer.from(text);
  if (bytes.length <= limitBytes) {
    return { text, truncated: false };
  }
  const mark = `\n[… ${bytes.length - limitBytes} bytes or more left out …]\n`;
  const half = Math.floor((limitBytes - Buffer.byteLength(mark)) / 2);
  // A character may be cut in two at the borders: its rest becomes U+FFFD, never invalid UTF-8.
  const head = bytes
    .subarray(0, half)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  const tail = bytes
    .subarray(bytes.length - half)
    .toString('utf8')
    .replace(/^\uFFFD+/, '');
  return { text: `${head}${mark}${tail}`, truncated: true };
}
