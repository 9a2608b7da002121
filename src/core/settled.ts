/** Resolves when the promise does or the signal aborts, whichever comes first. */
export async function settledOrAborted(
  promise: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = () => aborted.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  if (!signal.aborted) {
    await Promise.race([promise, aborted.promise]);
  }
  signal.removeEventListener('abort', onAbort);
}
