/** How many changes a sweep leaves out at most between two kills; half a minute becomes a few seconds. */
const SKIPPED_MAX = 14;

/**
 * The change of the machine at which a sweep kills next. `unit` takes some at random, so that many
 * runs meet them all, and what fails names its change. `long` takes every one (EVERY_KILL=1).
 */
export function nextKill(change: number): number {
  const isEvery = process.env['EVERY_KILL'] === '1';
  return change + 1 + (isEvery ? 0 : Math.floor(Math.random() * (SKIPPED_MAX + 1)));
}
