import { expectedError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { withDeadline } from '../../core/waiting.ts';
import type { Pace } from '../session/pace.ts';
import type { StatusSource } from '../session/ports.ts';
import type { Connection } from './connection.ts';

/**
 * Longest time to make a report, and for each of its parts to leave; a slow link may take long for
 * the whole.
 */
export const REPORT_STEP_TIMEOUT_MS = 60_000;
/** A report pauses while more bytes than this have not left: heartbeats go first. */
const BUFFERED_LIMIT_BYTES = 1024 * 1024;
const BUFFERED_WAIT_MS = 50;

export interface StatusReporter {
  /** The peer asks for a full report now. */
  requested(): void;
  run(signal: AbortSignal): Promise<void>;
}

/** `status_report` messages to a peer that announced that it understands them. */
export function statusReporter(
  deps: {
    readonly clock: Clock;
    readonly log: Log;
    readonly pace: Pace;
    readonly status: StatusSource;
  },
  connection: Pick<Connection, 'send' | 'bufferedBytes'>,
): StatusReporter {
  const reports = deps.status.reports();
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  let wake = new AbortController();
  const inTime = async <T>(
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ) => await withDeadline(deps.clock, { what, ms: REPORT_STEP_TIMEOUT_MS }, signal, work);
  const room = async (signal: AbortSignal) => {
    while (!signal.aborted && connection.bufferedBytes() > BUFFERED_LIMIT_BYTES) {
      await deps.clock.sleep(BUFFERED_WAIT_MS, signal);
    }
  };
  const report = async (signal: AbortSignal) => {
    const made = await inTime('Making the status report', signal, (inner) => reports.next(inner));
    for await (const payload of made) {
      await inTime('Sending a part of the status report', signal, room);
      if (signal.aborted || !connection.send('status_report', payload)) {
        return;
      }
    }
  };
  return {
    requested: () => {
      reports.reset();
      wake.abort();
    },
    run: async (signal) => {
      while (!signal.aborted) {
        wake = new AbortController();
        try {
          await report(signal);
        } catch (thrown) {
          if (signal.aborted) {
            return;
          }
          const error = expectedError(thrown);
          // Half a report may have left; the peer must not build on it.
          reports.reset();
          complain('cannot report the cluster status', {
            error_code: error.code,
            error: error.message,
          });
        }
        await deps.clock.sleep(deps.pace.statusMs(), AbortSignal.any([signal, wake.signal]));
      }
    },
  };
}
