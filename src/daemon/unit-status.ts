import type { Clock } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { ReadyAnswer, Reason } from '../protocol/local-api.ts';
import type { HealthParts } from './health-parts.ts';

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
  readonly health: Pick<HealthParts, 'readiness' | 'warnings'>;
}

/** Tells systemd how the agent is, for `systemctl status` (sd_notify(3), STATUS=). */
export function unitStatus(deps: UnitStatusDeps): Service {
  return {
    name: 'unit-status',
    start: async (signal) => ({ done: tell(deps, signal) }),
  };
}

async function tell(deps: UnitStatusDeps, signal: AbortSignal): Promise<void> {
  let told = { codes: '', text: '', at: Number.NEGATIVE_INFINITY };
  while (await deps.clock.sleep(LOOK_INTERVAL_MS, signal)) {
    const answer = await deps.health.readiness(signal);
    if (answer.ready) {
      await deps.noteReady();
    }
    const warnings = deps.health.warnings();
    const codes = [...answer.reasons, ...warnings].map(({ code }) => code).join();
    const text = statusText(answer, warnings);
    const now = deps.clock.monotonic();
    const isNews = codes !== told.codes || told.text === '' || now - told.at >= REPEAT_INTERVAL_MS;
    if (text !== told.text && isNews && !signal.aborted) {
      deps.notify(`STATUS=${text}`);
      told = { codes, text, at: now };
    }
  }
}

/** One line of printable characters, whatever the reasons contain. */
export function statusText({ ready, reasons }: ReadyAnswer, warnings: readonly Reason[]): string {
  const [first] = ready ? warnings : reasons;
  const state = ready ? 'ready' : 'not ready';
  const text = first === undefined ? state : `${state}; ${first.message} [${first.code}]`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  const line = text.replaceAll(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]+/g, ' ');
  return line.length > STATUS_LENGTH_MAX ? `${line.slice(0, STATUS_LENGTH_MAX - 1)}…` : line;
}
