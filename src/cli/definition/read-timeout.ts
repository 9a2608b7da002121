import { AgentError } from '../../core/errors.ts';
import { formatDuration, parseDuration } from '../../core/text/duration.ts';

interface TimeoutRange {
  readonly minMs: number;
  readonly maxMs: number;
  /** `10m` */
  readonly example: string;
}

/** The value of --timeout, in ms. @throws AgentError USAGE */
export function readTimeout(text: string, { minMs, maxMs, example }: TimeoutRange): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < minMs || ms > maxMs) {
    throw new AgentError('USAGE', `Cannot use --timeout "${text}"`, {
      hint: `Give a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as ${example}`,
    });
  }
  return ms;
}
