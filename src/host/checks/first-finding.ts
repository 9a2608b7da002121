import type { ErrorCode } from '../../core/errors.ts';
import type { Reached } from '../facts/reached.ts';
import type { Finding } from './check.ts';
import {
  type Blocked,
  blockedAt,
  blockedFinding,
  blockedWords,
  causeOf,
  detailsOf,
  type IsRight,
} from './endpoint-finding.ts';

/** The finding of several endpoints: each cause is told once, with what mends the first. */
export function firstFinding(
  endpoints: readonly Reached[],
  code: ErrorCode,
  isRight: IsRight,
): Finding | undefined {
  const byCause = new Map<string, [Blocked, ...Blocked[]]>();
  for (const blocked of endpoints.flatMap((reached) => blockedAt(reached, isRight) ?? [])) {
    const same = byCause.get(causeOf(blocked));
    if (same === undefined) {
      byCause.set(causeOf(blocked), [blocked]);
    } else {
      same.push(blocked);
    }
  }
  const causes = [...byCause.values()];
  const [first] = causes;
  return (
    first && {
      ...blockedFinding(first[0], code, isRight),
      message: causes.map(blockedWords).join('. Also: '),
      details: { endpoints: endpoints.map(detailsOf) },
    }
  );
}
