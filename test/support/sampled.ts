/**
 * What takes long case by case: `unit` takes some of the cases at random, so that many runs meet
 * them all, and `long` every one (EVERY_CASE=1). A test that fails names its case.
 */
export const IS_EVERY_CASE = process.env['EVERY_CASE'] === '1';

/** How many changes a sweep leaves out at most between two kills; half a minute becomes seconds. */
const SKIPPED_MAX = 14;

/** Of a sweep, on a busy machine. */
export const SWEEP_TIMEOUT_MS = IS_EVERY_CASE ? 1_800_000 : 300_000;

/** The change of the machine at which a sweep that was at `change` kills next. */
export function nextKill(change: number): number {
  return change + 1 + (IS_EVERY_CASE ? 0 : Math.floor(Math.random() * (SKIPPED_MAX + 1)));
}

/** At most `count` of the cases, in their order. */
export function sampled<T>(cases: readonly T[], count: number): readonly T[] {
  let left = IS_EVERY_CASE ? cases.length : count;
  return cases.filter((_, index) => {
    const isTaken = Math.random() * (cases.length - index) < left;
    left -= isTaken ? 1 : 0;
    return isTaken;
  });
}
