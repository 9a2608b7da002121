import type { Clock, LogFields } from './ports.ts';

/** One line is written in this time; the next line says how many were left out. */
const LINE_INTERVAL_MS = 60_000;

/** A way to log that a peer cannot flood. Each log statement needs its own. */
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
