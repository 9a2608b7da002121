/** Commands about the machine itself, carried out by root's helper. */
import * as z from 'zod';
import { JOIN_TOKEN_TTL_SECONDS_MAX, JOIN_TOKEN_TTL_SECONDS_MIN } from '../helper.ts';

const JOIN_TOKEN_TTL_SECONDS_DEFAULT = 900;

export const JoinTokenPayload = z.strictObject({
  role: z.enum(['agent', 'server']).default('agent'),
  ttl_seconds: z
    .int()
    .min(JOIN_TOKEN_TTL_SECONDS_MIN)
    .max(JOIN_TOKEN_TTL_SECONDS_MAX)
    .default(JOIN_TOKEN_TTL_SECONDS_DEFAULT),
});
export type JoinTokenPayload = z.infer<typeof JoinTokenPayload>;

export const SnapshotPayload = z.strictObject({});

export const JoinTokenData = z.strictObject({
  /** What "token list" shows and "token delete" takes. The token itself stands beside it: it is secret. */
  id: z.string(),
  role: z.enum(['agent', 'server']),
  expires: z.string(),
  servers: z.array(z.string()),
});
export type JoinTokenData = z.infer<typeof JoinTokenData>;
