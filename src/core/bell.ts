import type { Clock } from './ports.ts';
import { within } from './waiting.ts';

/** Wakes those who wait. A ring while nobody waits is not lost: the next wait returns at once. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring, or at the signal. */
  wait(signal: AbortSignal): Promise<void>;
}

export function bell(): Bell {
  let rung = false;
  const waiters = new Set<() => void>();
  return {
    ring: () => {
      rung = waiters.size === 0;
      for (const wake of [...waiters]) {
        wake();
      }
    },
    wait: (signal) => {
      if (rung || signal.aborted) {
        rung = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          waiters.delete(wake);
          resolve();
        };
        waiters.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}

/** Waits for a ring of the bell, for a limited time. */
export async function rungWithin(
  deps: { readonly clock: Clock },
  rung: Bell,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  await within(deps.clock, ms, signal, (either) => rung.wait(either));
}
