import type { Clock, Log } from '../core/ports.ts';
import type { HealthFacts } from './facts.ts';
import { type Episode, type HealthNews, healthHistory } from './history.ts';
import { type ShownProblem, shown, type TrackedProblems, track } from './state.ts';
import type { Warnable } from './warnable.ts';

/** How the agent was at one look. */
export interface HealthState {
  /** Nothing that blocks is shown. */
  readonly ready: boolean;
  /** In the order of the table. */
  readonly problems: readonly ShownProblem[];
}

export interface Health {
  /** Asks the parts, and judges what they say. */
  look(signal: AbortSignal): Promise<HealthState>;
  /** What the newest look has found, for those who must not wait; undefined before the first. */
  last(): HealthState | undefined;
  /** Ids of what can be wrong. */
  readonly warnables: readonly string[];
  /** The newest first. */
  episodes(): readonly Episode[];
  /** How often something of this warnable was shown since the start. */
  times(warnable: string): number;
}

/**
 * The state of the agent, remembered from look to look. Somebody has to look regularly: only so is it
 * known how long something lasts.
 * @param gather what the parts know now
 */
export function healthTracker(
  deps: { readonly clock: Clock; readonly log: Log },
  table: readonly Warnable[],
  gather: (signal: AbortSignal) => Promise<HealthFacts>,
): Health {
  const history = healthHistory(deps);
  const warnings = new Set(
    table.filter(({ severity }) => severity === 'warns').map(({ id }) => id),
  );
  let tracked: TrackedProblems = new Map();
  let last: HealthState | undefined;
  return {
    look: async (signal) => {
      const facts = await gather(signal);
      const nowMs = deps.clock.monotonic();
      tracked = track(table, tracked, facts, nowMs);
      const visible = shown(table, tracked, nowMs);
      tell(deps.log, history.note(visible, tracked), warnings);
      const problems = [...visible.values()];
      last = { ready: !problems.some(({ severity }) => severity === 'blocks'), problems };
      return last;
    },
    last: () => last,
    warnables: table.map(({ id }) => id),
    episodes: history.episodes,
    times: history.times,
  };
}

/** Only of warnings: what blocks is logged, with more, by the part that it happens to. */
function tell(log: Log, { begun, over }: HealthNews, warnings: ReadonlySet<string>): void {
  for (const { warnable, about, code, message } of begun) {
    if (warnings.has(warnable)) {
      log.warn('something is wrong', { warnable, about, error_code: code, error: message });
    }
  }
  for (const { warnable, about } of over) {
    if (warnings.has(warnable)) {
      log.info('it is right again', { warnable, about });
    }
  }
}
