import * as z from 'zod';

/** Longest file, bytes: the CA may be a chain. */
export const JOINED_SERVER_LIMIT_BYTES = 256 * 1024;

/**
 * `server.json` beside the configuration of a worker: the server that it joined. Root writes it,
 * the daemon reads it; there is no secret in it. Fields that another version has added stay.
 */
export const JoinedServer = z.looseObject({
  /** The oldest reader that may use it. */
  v: z.literal(1),
  url: z.url({ protocol: /^https$/ }),
  /** PEM. */
  ca: z.string(),
});
export type JoinedServer = z.infer<typeof JoinedServer>;
