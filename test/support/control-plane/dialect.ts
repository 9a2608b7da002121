import { z } from 'zod';

/** Where registered agents are sent on to, when there is a gateway. */
export const GATEWAY_PATH = '/gateway/ws';

/** What a control plane speaks; a test makes it an older, a newer or a poorer one. */
export const Dialect = z.strictObject({
  /** `/api/v1/agents/*`; 404 when false. */
  rest: z.boolean().default(true),
  /** The WebSocket; 404 when false. */
  websocket: z.boolean().default(true),
  /** Takes routes and tunnels; 404 when false. */
  routes: z.boolean().default(true),
  /** Announces and speaks commands and status reports over the WebSocket. */
  extension: z.boolean().default(true),
  /**
   * A command that was acknowledged is sent again at the next connection while it has no result. Who
   * acknowledges must not count on it.
   */
  sends_acknowledged_again: z.boolean().default(true),
  /** Sends registered agents on to the gateway, a second path of the same server. */
  gateway: z.boolean().default(false),
  /** So many `register_in_progress` before `register_success`. */
  register_in_progress: z.int().min(0).max(10).default(0),
  /** The pace that it asks for; absent: none. */
  pace: z
    .strictObject({
      heartbeat_seconds: z.number().positive().optional(),
      status_seconds: z.number().positive().optional(),
      reconnect_spread_seconds: z.number().min(0).optional(),
    })
    .optional(),
});
export type Dialect = z.infer<typeof Dialect>;
export type DialectOptions = z.input<typeof Dialect>;
