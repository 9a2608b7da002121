/** What is wrong, since when, and what of it is shown: functions of facts, table and time. */
import type { HealthFacts } from './facts.ts';
import type { Problem, Severity, Warnable } from './warnable.ts';

/** Of one warnable at once; more than any of them tells. */
const PROBLEMS_MAX = 50;

/** One problem, as long as it lasts. */
export interface Tracked {
  readonly warnable: Warnable;
  readonly problem: Problem;
  /** When it was first seen. */
  readonly since: Date;
  /** The same by the monotonic clock, ms. */
  readonly sinceMs: number;
}

/** By warnable and what it is about. */
export type TrackedProblems = ReadonlyMap<string, Tracked>;

/** A problem that a person should see now. */
export interface ShownProblem extends Problem {
  readonly warnable: string;
  readonly severity: Severity;
  readonly since: Date;
}

/** Takes over what lasts, begins what is new, and ends what is over. */
export function track(
  table: readonly Warnable[],
  before: TrackedProblems,
  facts: HealthFacts,
  nowMs: number,
): TrackedProblems {
  const found = new Map<string, Tracked>();
  for (const warnable of table) {
    for (const problem of warnable.find(facts).slice(0, PROBLEMS_MAX)) {
      const key = `${warnable.id}/${problem.about ?? ''}`;
      const known = before.get(key);
      found.set(key, {
        warnable,
        problem,
        since: known?.since ?? facts.now,
        sinceMs: known?.sinceMs ?? nowMs,
      });
    }
  }
  return found;
}

/** In the order of the table, with the keys: what has lasted long enough, and has no cause that is shown. */
export function shown(
  table: readonly Warnable[],
  tracked: TrackedProblems,
  nowMs: number,
): ReadonlyMap<string, ShownProblem> {
  const lasting = [...tracked].filter(
    ([, { warnable, sinceMs }]) => nowMs - sinceMs >= warnable.visibleAfterMs,
  );
  const ids = new Set(lasting.map(([, { warnable }]) => warnable.id));
  return new Map(
    lasting
      .filter(([, { warnable }]) => !causesOf(table, warnable).some((cause) => ids.has(cause)))
      .map(([key, { warnable, problem, since }]) => [
        key,
        { ...problem, warnable: warnable.id, severity: warnable.severity, since },
      ]),
  );
}

/** What it depends on, and what that depends on. */
function causesOf(table: readonly Warnable[], { dependsOn }: Warnable): readonly string[] {
  const causes = table.filter(({ id }) => dependsOn.includes(id));
  return [...dependsOn, ...causes.flatMap((cause) => causesOf(table, cause))];
}
