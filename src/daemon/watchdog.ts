import type { Clock, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';

/** A session loop that has tried nothing for this long hangs: its slowest call takes 30 s. */
const SESSION_STALL_MS = 10 * 60_000;

export interface WatchdogProbes {
  /** Monotonic ms of the last try of the session; undefined where there is none. */
  readonly sessionAdvance: () => number | undefined;
  /** Reads the journal; throws when it cannot. */
  readonly readJournal: () => void;
}

/**
 * Tells systemd that the daemon is alive, but only while its parts advance: the event loop (or this
 * would not run), the journal and the session's loop. An outage counts as advancing; it must not
 * restart the daemon.
 * @param intervalMs half of the unit's WatchdogSec, as sd_watchdog_enabled(3) asks
 */
export function watchdog(
  deps: { readonly clock: Clock; readonly log: Log; readonly notify: (state: string) => void },
  probes: WatchdogProbes,
  intervalMs: number,
): Service {
  return {
    name: 'watchdog',
    start: async (signal) => ({
      done: (async () => {
        do {
          probes.readJournal();
          const advancedAt = probes.sessionAdvance() ?? deps.clock.monotonic();
          if (deps.clock.monotonic() - advancedAt < SESSION_STALL_MS) {
            deps.notify('WATCHDOG=1');
          } else {
            deps.log.error('the session does not advance; systemd will restart the agent');
          }
        } while (await deps.clock.sleep(intervalMs, signal));
      })(),
    }),
  };
}
