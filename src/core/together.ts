/**
 * Runs all works until the signal aborts. The first one that rejects ends the others; its error is
 * thrown when all have ended.
 */
export async function together(
  works: readonly ((signal: AbortSignal) => Promise<void>)[],
  signal: AbortSignal,
): Promise<void> {
  const broken = new AbortController();
  const either = AbortSignal.any([signal, broken.signal]);
  const all = works.map((work) => work(either));
  try {
    await Promise.all(all);
  } finally {
    broken.abort();
    await Promise.allSettled(all);
  }
}
