/** Waiting for conditions, never for time. */

/** The pause between two looks at a condition doubles, from what the own process needs to what machines do. */
const FIRST_PAUSE_MS = 2;
const PAUSE_MS_MAX = 200;

/**
 * Calls `probe` until it returns something other than undefined or false. An error it throws
 * counts as "not yet" and is named when time is up.
 * @throws Error that names `what` after `timeoutMs`.
 */
export async function waitUntil<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined | false>,
  pauseMsMax = PAUSE_MS_MAX,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let reason = '';
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) {
        return answer;
      }
      reason = '';
    } catch (error) {
      reason = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > deadline) {
      throw new Error(`Gave up waiting after ${timeoutMs} ms until ${what}${reason}`);
    }
    await Bun.sleep(pauseMs);
  }
}
