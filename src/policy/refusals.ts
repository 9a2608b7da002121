/** What was refused of late, for people who want to know why something does not work. */
import type { Clock } from '../core/ports.ts';
import { redactedStart } from '../core/text/middle-cut.ts';
import type { RefusalRow } from '../protocol/local-policy.ts';
import type { PolicyDecision } from './decision.ts';

/** Different refusals that are remembered; the one that came last longest ago goes. */
export const REFUSALS_MAX = 200;
/** Characters of what was asked for, and of a reason. */
const TEXT_LENGTH_MAX = 300;

export type RefusalKind = 'command' | 'access' | 'object' | 'request';

export interface Refusals {
  note(kind: RefusalKind, about: string, refused: PolicyDecision & { allowed: false }): void;
  /** The newest first. */
  rows(): readonly RefusalRow[];
}

/**
 * What asks again and again is one row.
 * @param before of an earlier start, the newest first
 * @param noted is called at each refusal
 */
export function rememberedRefusals(
  { clock }: { readonly clock: Pick<Clock, 'now'> },
  before: readonly RefusalRow[] = [],
  noted: () => void = () => undefined,
): Refusals {
  const oldestFirst = before.slice(0, REFUSALS_MAX).toReversed();
  const rows = new Map(oldestFirst.map((row) => [keyOf(row), row]));
  return {
    note: (kind, asked, { rule, reason }) => {
      const about = redactedStart(asked, TEXT_LENGTH_MAX);
      const key = keyOf({ kind, rule, about });
      const now = clock.now().toISOString();
      const { first_at, times } = rows.get(key) ?? { first_at: now, times: 0 };
      rows.delete(key);
      rows.set(key, {
        ...{ kind, about, rule, reason: redactedStart(reason, TEXT_LENGTH_MAX) },
        ...{ first_at, last_at: now, times: times + 1 },
      });
      const [oldest] = rows.keys();
      if (rows.size > REFUSALS_MAX && oldest !== undefined) {
        rows.delete(oldest);
      }
      noted();
    },
    rows: () => [...rows.values()].reverse(),
  };
}

function keyOf({ kind, rule, about }: Pick<RefusalRow, 'kind' | 'rule' | 'about'>): string {
  return `${kind} ${rule} ${about}`;
}
