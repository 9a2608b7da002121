import type { CoreV1Event } from '@kubernetes/client-node';
import type { EventRow } from '../protocol/local-cluster.ts';

const MESSAGE_LENGTH_MAX = 500;

/** What is told of an event. */
export function eventRow(event: CoreV1Event): EventRow {
  const { involvedObject, type, reason, message, count, metadata, series } = event;
  const seen = series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime;
  return {
    namespace: involvedObject.namespace ?? metadata.namespace ?? '',
    kind: involvedObject.kind ?? '',
    name: involvedObject.name ?? '',
    type: type ?? '',
    reason: reason ?? '',
    message: (message ?? '').slice(0, MESSAGE_LENGTH_MAX),
    count: series?.count ?? count ?? 1,
    // On the wire it is text; client-node's type says Date.
    last_seen: seen == null ? null : String(seen),
  };
}
