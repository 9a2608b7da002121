import { msUntilBeat } from '../core/beat.ts';
import type { Clock } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { Health, HealthState } from '../health/tracker.ts';

/**
 * How often it looks: the line of `systemctl status` is never older, and is not sent more often.
 */
export const LOOK_INTERVAL_MS = 5_000;
/** The same state in other words (with another time of day) is sent this often at most. */
const REPEAT_INTERVAL_MS = 60_000;
/** Characters of a status; systemd shows one line of it. */
const STATUS_LENGTH_MAX = 200;

export interface UnitStatusDeps {
  readonly clock: Clock;
  readonly notify: (state: string) => void;
  /** Called at each look at which it is ready. */
  readonly noteReady: () => Promise<void>;
  readonly health: Pick<Health, 'look'>;
  /** What a server does that has not the session; undefined on the others. */
  readonly standby: () => string | undefined;
}

/**
 * Looks regularly how the agent is, and tells systemd, for `systemctl status` (sd_notify(3), STATUS=).
 */
export function unitStatus(deps: UnitStatusDeps): Service {
  return {
    name: 'unit-status',
    start: async (signal) => ({ done: tell(deps, signal) }),
  };
}

async function tell(deps: UnitStatusDeps, signal: AbortSignal): Promise<void> {
  let told = { codes: '', text: '', at: Number.NEGATIVE_INFINITY };
  while (await deps.clock.sleep(msUntilBeat(deps.clock, LOOK_INTERVAL_MS), signal)) {
    const state = await deps.health.look(signal);
    if (state.ready) {
      await deps.noteReady();
    }
    const standby = deps.standby();
    const codes = [standby, ...state.problems.map(({ code }) => code)].join();
    const text = statusText(state, standby);
    const now = deps.clock.monotonic();
    const isNews = codes !== told.codes || told.text === '' || now - told.at >= REPEAT_INTERVAL_MS;
    if (text !== told.text && isNews && !signal.aborted) {
      deps.notify(`STATUS=${text}`);
      told = { codes, text, at: now };
    }
  }
}

/** One line of printable characters, whatever the reasons contain. */
export function statusText({ ready, problems: [first] }: HealthState, standby?: string): string {
  const state = [ready ? 'ready' : 'not ready', standby].filter(Boolean).join('; ');
  const text = first === undefined ? state : `${state}; ${first.message} [${first.code}]`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  const line = text.replaceAll(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]+/g, ' ');
  return line.length > STATUS_LENGTH_MAX ? `${line.slice(0, STATUS_LENGTH_MAX - 1)}…` : line;
}
