/**
 * How long a peer gives a request, in the notation of Go: the existing control plane is written in
 * it.
 */

/** Milliseconds of each unit (pkg.go.dev/time#ParseDuration). */
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
/** Longest text of a duration or a time, characters: a longer text is neither. */
const TEXT_LENGTH_MAX = 64;

const DURATION =
  /^\+?(?:(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/;
const DURATION_PART = /(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy;
/** RFC 3339 section 5.6. */
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** @returns milliseconds; undefined for what is neither a number of them nor a duration such as `1m30.5s` */
export function timeoutMsOf(timeout: string | number): number | undefined {
  if (typeof timeout === 'number') {
    return timeout >= 0 ? timeout : undefined;
  }
  if (timeout === '' || timeout === '0') {
    return 0;
  }
  if (timeout.length > TEXT_LENGTH_MAX || !DURATION.test(timeout)) {
    return undefined;
  }
  let total = 0;
  for (const [, amount, unit] of timeout.matchAll(DURATION_PART)) {
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  return total;
}

/** @returns the time, ms since 1970; undefined when the text is not a time of RFC 3339 */
export function deadlineOf(text: string): number | undefined {
  const at = text.length <= TEXT_LENGTH_MAX && TIME.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

export function isTimeout(value: unknown): value is string | number {
  const fits = typeof value === 'string' || Number.isFinite(value);
  return fits && timeoutMsOf(value as string | number) !== undefined;
}

/** An empty text means that there is no deadline. */
export function isDeadline(value: unknown): value is string {
  return typeof value === 'string' && (value === '' || deadlineOf(value) !== undefined);
}
