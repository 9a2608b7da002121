import type { ErrorCode } from '../../core/errors.ts';
import type { Reached } from '../facts/reached.ts';
import type { Finding } from './check.ts';
import { detailsOf, endpointFinding, type IsRight } from './endpoint-finding.ts';

/** The finding of several endpoints: the first in full, the others by name. */
export function firstFinding(
  endpoints: readonly Reached[],
  code: ErrorCode,
  isRight: IsRight,
): Finding | undefined {
  const found = endpoints.flatMap((reached) => endpointFinding(reached, code, isRight) ?? []);
  const [first, ...others] = found;
  if (first === undefined) {
    return undefined;
  }
  const also = others.map(({ message }) => `. Also: ${message}`).join('');
  return {
    ...first,
    message: `${first.message}${also}`,
    details: { endpoints: endpoints.map(detailsOf) },
  };
}
