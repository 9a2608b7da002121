/** Waiting with an end: "this work, at most so long, unless aborted", all of it by the Clock. */

import { AgentError } from './errors.ts';
import type { Clock } from './ports.ts';

/** A signal with a life of its own below a parent's. */
export interface ChildSignal {
  readonly signal: AbortSignal;
  /** Aborts it, and lets go of the parent. */
  readonly end: () => void;
}

export interface TimeLimit extends ChildSignal {
  /** Moves the limit: the work goes on, and needs longer than usual. */
  readonly allow: (moreMs: number) => void;
}

/** A signal that ends with its parent or by itself, and lets go of the parent when it ends. */
export function childSignal(parent: AbortSignal | undefined): ChildSignal {
  const { signal, abort } = child(parent);
  return { signal, end: () => abort() };
}

/**
 * A signal that also aborts after a time; `isTimeOver` tells whether it did. For work that outlives
 * the call that begins it, such as an answer that is still read. Otherwise use `within`.
 */
export function timeLimit(
  clock: Clock,
  limitMs: number,
  parent: AbortSignal | undefined,
): TimeLimit {
  const { signal, abort } = child(parent);
  const startedAt = clock.monotonic();
  let allowedMs = limitMs;
  const watch = (waitMs: number) =>
    afterwards(clock, waitMs, signal, () => {
      const leftMs = startedAt + allowedMs - clock.monotonic();
      if (leftMs > 0) {
        watch(leftMs);
      } else {
        abort(new DOMException('The time is over', 'TimeoutError'));
      }
    });
  watch(limitMs);
  const allow = (moreMs: number) => {
    allowedMs += moreMs;
  };
  return { signal, allow, end: () => abort() };
}

/** Whether a signal aborted because a time limit was reached, its own or one above it. */
export function isTimeOver(signal: AbortSignal): boolean {
  return signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
}

/** Work that obeys its signal, which aborts at the limit and with the parent. What it throws is thrown. */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal, allow: TimeLimit['allow']) => Promise<T>,
): Promise<T> {
  const { signal, allow, end } = timeLimit(clock, limitMs, parent);
  try {
    return await work(signal, allow);
  } finally {
    end();
  }
}

/**
 * The same for work that may ignore its signal: the wait still ends at the limit.
 * @param limit `what` is for the message: `the call`
 * @throws AgentError TIMEOUT at the limit, INTERRUPTED at the signal
 */
export async function withDeadline<T>(
  clock: Clock,
  limit: { readonly what: string; readonly ms: number },
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal, allow: TimeLimit['allow']) => Promise<T>,
): Promise<T> {
  return await within(clock, limit.ms, parent, async (signal, allow) => {
    const cut = Promise.withResolvers<never>();
    const onAbort = () =>
      cut.reject(
        isTimeOver(signal)
          ? new AgentError('TIMEOUT', `${limit.what} took more than ${limit.ms / 1_000} s`, {
              hint: 'Try again; if it stays so, look at the load of both sides and at the network between',
            })
          : new AgentError('INTERRUPTED', `${limit.what} was interrupted`),
      );
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) {
      onAbort();
    }
    try {
      return await Promise.race([work(signal, allow), cut.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  });
}

/** Resolves when the promise does or the signal aborts, whichever comes first. */
export async function settledOrAborted(
  promise: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = () => aborted.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  try {
    await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Waits for a promise, at most so long, unless aborted. Its rejection is thrown.
 * @returns whether it resolved in time
 */
export async function settledWithin(
  clock: Clock,
  limitMs: number,
  parent: AbortSignal | undefined,
  promise: Promise<unknown>,
): Promise<boolean> {
  let isSettled = false;
  const settled = promise.then(() => {
    isSettled = true;
  });
  await within(clock, limitMs, parent, (signal) => settledOrAborted(settled, signal));
  return isSettled;
}

/** Calls `due` after a time, unless the signal aborts first. */
export function afterwards(clock: Clock, ms: number, signal: AbortSignal, due: () => void): void {
  void clock.sleep(ms, signal).then((whole) => {
    if (whole) {
      due();
    }
  });
}

export interface PollPace {
  readonly everyMs: number;
  /** When the last look is; 0 for one look. */
  readonly limitMs: number;
}

/** What one look found: what was waited for, or what is there so far. */
export type Look<Found, SoFar> = { readonly found: Found } | { readonly soFar: SoFar };

/** How polling ended. */
export type PollEnd<Found, SoFar> =
  | { readonly kind: 'found'; readonly found: Found }
  | { readonly kind: 'late' | 'aborted'; readonly soFar: SoFar };

/**
 * Looks again and again until it finds, the time is over or the signal aborts. It always looks at
 * least once, and once more when the time is over. What a look throws is thrown.
 */
export async function pollUntil<Found, SoFar>(
  clock: Clock,
  { everyMs, limitMs }: PollPace,
  signal: AbortSignal | undefined,
  look: () => Promise<Look<Found, SoFar>>,
): Promise<PollEnd<Found, SoFar>> {
  const endsAt = clock.monotonic() + limitMs;
  for (;;) {
    const seen = await look();
    if ('found' in seen) {
      return { kind: 'found', found: seen.found };
    }
    const leftMs = endsAt - clock.monotonic();
    if (leftMs <= 0) {
      return { kind: 'late', soFar: seen.soFar };
    }
    if (!(await clock.sleep(Math.min(everyMs, leftMs), signal))) {
      return { kind: 'aborted', soFar: seen.soFar };
    }
  }
}

function child(parent: AbortSignal | undefined): {
  readonly signal: AbortSignal;
  readonly abort: (reason?: unknown) => void;
} {
  const own = new AbortController();
  const onParent = () => abort(parent?.reason);
  const abort = (reason?: unknown) => {
    parent?.removeEventListener('abort', onParent);
    own.abort(reason);
  };
  parent?.addEventListener('abort', onParent, { once: true });
  if (parent?.aborted === true) {
    onParent();
  }
  return { signal: own.signal, abort };
}
