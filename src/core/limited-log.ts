import type { Clock, LogFields } from './ports.ts';

/** One line of each kind in this time; what else came is counted in the next one. */
const LINE_INTERVAL_MS = 60_000;

/** A way to log that a peer cannot flood. Each line of the caller's code needs one of its own. */
export function limitedLog(
  clock: Clock,
  write: (message: string, fields: LogFields) => void,
): (message: string, fields?: LogFields) => void {
  let nextAt = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  return (message, fields = {}) => {
    const now = clock.monotonic();
    if (now < nextAt) {
      suppressed += 1;
      return;
    }
    nextAt = now + LINE_INTERVAL_MS;
    write(message, suppressed === 0 ? fields : { ...fields, suppressed });
    suppressed = 0;
  };
}
