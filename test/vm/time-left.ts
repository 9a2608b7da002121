/** How far something is, and how long it may still take. */

/** Before so much is done, nobody can know. */
const SHARE_MIN = 0.05;
const ELAPSED_MS_MIN = 3_000;
/** Longer than this is told in minutes. */
const MINUTES_FROM_MS = 90_000;
/** What is more exact than this would be a lie. */
const SECONDS_STEP = 5;

/** @param share what is done, 0 to 1. @returns `42 %, about 3 min left` */
export function timeLeft(share: number, elapsedMs: number): string {
  const percent = `${Math.floor(Math.min(share, 0.99) * 100)} %`;
  if (share < SHARE_MIN || elapsedMs < ELAPSED_MS_MIN) {
    return percent;
  }
  const leftMs = (elapsedMs * (1 - Math.min(share, 1))) / share;
  if (leftMs > MINUTES_FROM_MS) {
    return `${percent}, about ${Math.round(leftMs / 60_000)} min left`;
  }
  const seconds = Math.max(1, Math.ceil(leftMs / 1_000 / SECONDS_STEP)) * SECONDS_STEP;
  return `${percent}, about ${seconds} s left`;
}
