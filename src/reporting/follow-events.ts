import type { CoreV1Event } from '@kubernetes/client-node';
import { KINDS, pathOfKind } from '../core/kinds.ts';
import type { Clock } from '../core/ports.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';
import type { EventRow } from '../protocol/local-cluster.ts';
import { eventRow } from './event-row.ts';

/** Times of events have whole seconds. */
const SECOND_MS = 1_000;

/**
 * Tells every event of the cluster from now on, until the signal aborts: each time that it happens again,
 * too. After an outage, what came meanwhile is told as far as Kubernetes remembers it.
 */
export async function followEvents(
  { clock, follow }: { readonly clock: Clock; readonly follow: FollowKind },
  tell: (event: EventRow) => void,
  signal: AbortSignal,
): Promise<void> {
  let toldUpTo = Math.floor(clock.now().getTime() / SECOND_MS) * SECOND_MS;
  let isListing = false;
  await follow<CoreV1Event>(
    pathOfKind(KINDS.event),
    {
      listing: () => {
        isListing = true;
      },
      put: (event) => {
        const row = eventRow(event);
        const at = Date.parse(row.last_seen ?? '');
        if (!isListing || at >= toldUpTo) {
          tell(row);
        }
        if (!isListing && at > toldUpTo) {
          toldUpTo = at;
        }
      },
      remove: () => undefined, // It is forgotten, not undone.
      listed: () => {
        isListing = false;
      },
      reached: () => undefined,
      failed: () => undefined, // The informer logs it, and goes on.
    },
    signal,
  );
}
