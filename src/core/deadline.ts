import { AgentError } from './errors.ts';
import type { Clock } from './ports.ts';

/**
 * Gives work a time limit that holds even when the work ignores its signal.
 * @param what for the message: `the call`
 * @throws AgentError TIMEOUT at the deadline, INTERRUPTED at the signal
 */
export async function withDeadline<T>(
  clock: Clock,
  limit: { readonly what: string; readonly ms: number },
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const inner = new AbortController();
  const onAbort = () => inner.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    inner.abort();
  }
  const expired = clock.sleep(limit.ms, inner.signal).then((complete): never => {
    inner.abort();
    throw complete
      ? new AgentError('TIMEOUT', `${limit.what} took more than ${limit.ms / 1_000} s`)
      : new AgentError('INTERRUPTED', `${limit.what} was interrupted`);
  });
  try {
    return await Promise.race([work(inner.signal), expired]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    inner.abort();
  }
}

/** A signal that ends with its parent or by itself, and lets go of the parent when it ends. */
export function childSignal(parent: AbortSignal): {
  readonly signal: AbortSignal;
  readonly end: () => void;
} {
  const own = new AbortController();
  const end = () => {
    parent.removeEventListener('abort', end);
    own.abort();
  };
  parent.addEventListener('abort', end, { once: true });
  if (parent.aborted) {
    end();
  }
  return { signal: own.signal, end };
}
