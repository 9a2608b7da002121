import type { Clock } from '../core/ports.ts';
import type { ShownProblem } from './state.ts';

/** Newest problems that are remembered. */
export const EPISODES_MAX = 100;

/** One problem from its beginning to its end. */
export interface Episode {
  readonly warnable: string;
  readonly about: string | undefined;
  /** As they were when it was shown first. */
  readonly code: string;
  readonly message: string;
  readonly since: Date;
  /** Undefined while it lasts. */
  readonly until: Date | undefined;
}

export interface HealthNews {
  readonly begun: readonly ShownProblem[];
  readonly over: readonly Episode[];
}

export interface HealthHistory {
  /**
   * @param visible what is shown now, by key
   * @param lasting keys of all that lasts, shown or hidden behind its cause
   * @returns what has changed since the last call
   */
  note(
    visible: ReadonlyMap<string, ShownProblem>,
    lasting: { has(key: string): boolean },
  ): HealthNews;
  /** The newest first. */
  episodes(): readonly Episode[];
  /** How often something of this warnable was shown since the start. */
  times(warnable: string): number;
}

/** What was wrong of late, and how often. It begins anew with the process. */
export function healthHistory(deps: { readonly clock: Pick<Clock, 'now'> }): HealthHistory {
  const open = new Map<string, Episode>();
  let over: readonly Episode[] = [];
  const counts = new Map<string, number>();
  return {
    note: (visible, lasting) => {
      const news = { begun: [] as ShownProblem[], over: [] as Episode[] };
      for (const [key, episode] of open) {
        if (!lasting.has(key)) {
          open.delete(key);
          news.over.unshift({ ...episode, until: deps.clock.now() });
        }
      }
      over = [...news.over, ...over].slice(0, EPISODES_MAX);
      for (const [key, problem] of visible) {
        if (!open.has(key)) {
          const { warnable, about, code, message, since } = problem;
          open.set(key, { warnable, about, code, message, since, until: undefined });
          counts.set(warnable, (counts.get(warnable) ?? 0) + 1);
          news.begun.push(problem);
        }
      }
      return news;
    },
    episodes: () => [...open.values()].reverse().concat(over).slice(0, EPISODES_MAX),
    times: (warnable) => counts.get(warnable) ?? 0,
  };
}
