import { AgentError } from '../../core/errors.ts';
import { formatDuration, parseDuration } from '../../core/text/duration.ts';

interface DurationRange {
  readonly minMs: number;
  readonly maxMs: number;
  /** `10m` */
  readonly example: string;
}

/**
 * The value of a flag, in ms.
 * @param flag without its dashes
 * @throws AgentError USAGE
 */
export function readDuration(
  flag: string,
  text: string,
  { minMs, maxMs, example }: DurationRange,
): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < minMs || ms > maxMs) {
    throw new AgentError('USAGE', `Cannot use --${flag} "${text}"`, {
      hint: `Give a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as ${example}`,
    });
  }
  return ms;
}
