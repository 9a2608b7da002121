/**
 * How a peer turns the binary messages of a session into a yamux connection: it sends
 * `gateway_hello`, the agent answers `gateway_hello_ack`, and from then on every binary message, of
 * both directions, is a piece of one byte stream. The agent is yamux' client, the peer its server,
 * and only the peer opens streams.
 */
import * as z from 'zod';
import { INITIAL_WINDOW_BYTES, UINT32_MAX } from '../../yamux/frame.ts';

/** A number that is missing, of a wrong type, or out of range counts as absent. */
const positive = z.number().positive().max(UINT32_MAX).optional().catch(undefined);

/** peer → agent. */
export const GatewayHelloPayload = z.looseObject({
  use_yamux: z.boolean().catch(false),
  yamux_config: z
    .looseObject({
      /** Largest receive window that the agent shall give one stream, bytes. */
      max_stream_window_size: positive,
      keep_alive_interval_seconds: positive,
      /** For connections to targets, and for the answer to a ping. */
      connection_timeout_seconds: positive,
    })
    .optional()
    .catch(undefined),
  /** Ours: each datagram of a UDP stream has its length before it, as u16, in both directions. */
  udp_framing: z.boolean().optional().catch(undefined),
});
export type GatewayHelloPayload = z.infer<typeof GatewayHelloPayload>;

/** agent → peer. Not sent when `use_yamux` is false. */
export const GatewayHelloAckPayload = z.strictObject({
  use_yamux: z.literal(true),
  /** Only where the peer announced it. */
  udp_framing: z.literal(true).optional(),
});
export type GatewayHelloAckPayload = z.infer<typeof GatewayHelloAckPayload>;

export interface GatewaySettings {
  /** Of one stream, bytes. */
  readonly windowLimitBytes: number;
  readonly keepAliveMs: number;
  readonly connectionTimeoutMs: number;
  readonly udpFraming: boolean;
}

/** More would let few streams hold much memory. */
const WINDOW_LIMIT_BYTES = 1024 * 1024;
const KEEP_ALIVE_MS = { shortest: 1_000, usual: 30_000, longest: 300_000 };
const CONNECTION_TIMEOUT_MS = { shortest: 1_000, usual: 30_000, longest: 120_000 };

/** What a hello means, within our own limits. */
export function gatewaySettings(hello: GatewayHelloPayload): GatewaySettings {
  const config = hello.yamux_config;
  return {
    windowLimitBytes: Math.min(
      WINDOW_LIMIT_BYTES,
      Math.max(INITIAL_WINDOW_BYTES, config?.max_stream_window_size ?? WINDOW_LIMIT_BYTES),
    ),
    keepAliveMs: within(KEEP_ALIVE_MS, config?.keep_alive_interval_seconds),
    connectionTimeoutMs: within(CONNECTION_TIMEOUT_MS, config?.connection_timeout_seconds),
    udpFraming: hello.udp_framing === true,
  };
}

function within(
  limits: { readonly shortest: number; readonly usual: number; readonly longest: number },
  seconds: number | undefined,
): number {
  return seconds === undefined
    ? limits.usual
    : Math.min(limits.longest, Math.max(limits.shortest, seconds * 1_000));
}
