import type { Clock, Log } from '../../core/ports.ts';
import {
  type Envelope,
  type ProtocolFallbackPayload,
  SESSION_MESSAGE_TYPES,
} from '../../protocol/session/messages.ts';
import type { DataPlane } from '../session/ports.ts';
import type { Connection } from './connection.ts';

/** Names of unknown types that are remembered; types beyond that are ignored silently. */
const UNKNOWN_TYPES_MAX = 64;

/** Answers the first message of each unknown type with `protocol_fallback`. */
export function unknownTypes(
  deps: {
    readonly clock: Clock;
    readonly log: Log;
    readonly dataPlane: DataPlane | undefined;
  },
  options: { readonly version: string },
): (connection: Connection, envelope: Envelope) => void {
  const seen = new Set<string>();
  return (connection, envelope) => {
    if (seen.has(envelope.type) || seen.size >= UNKNOWN_TYPES_MAX) {
      return;
    }
    seen.add(envelope.type);
    deps.log.info('the control plane sent a message of an unknown type', {
      message_type: envelope.type,
    });
    const payload: ProtocolFallbackPayload = {
      agent_version: options.version,
      unknown_type: envelope.type,
      supported_types: [...SESSION_MESSAGE_TYPES, ...(deps.dataPlane?.types ?? [])],
      fallback_mode: 'legacy_proxy',
      protocol_version: '1.0',
      timestamp: deps.clock.now().toISOString(),
      ...(envelope.request_id === undefined ? {} : { original_request_id: envelope.request_id }),
    };
    connection.send('protocol_fallback', payload);
  };
}
