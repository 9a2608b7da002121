/** Commands about the machine itself, carried out by root's helper. */
import * as z from 'zod';
import { troubleOf } from '../../core/trouble.ts';
import { DnsSubdomain } from '../dns-subdomain.ts';
import { K3sChannel, K3sVersion } from '../files/k3s-upgrade.ts';
import { AgentVersion } from '../files/upgrade.ts';
import { JOIN_TOKEN_TTL_SECONDS_MAX, JOIN_TOKEN_TTL_SECONDS_MIN } from '../helper.ts';
import { parseControlPlaneToken } from '../secrets/control-plane-token.ts';

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

export const SupportBundlePayload = z.strictObject({});

export const RotateTokenPayload = z.strictObject({
  /** That the control plane takes already, beside the present one. */
  new_token: z.string().transform((text, context) => {
    try {
      const token = parseControlPlaneToken(text);
      if (token !== undefined) {
        return token;
      }
      context.addIssue('must not be empty');
    } catch (thrown) {
      context.addIssue(troubleOf(thrown)); // It never has the token in it.
    }
    return z.NEVER;
  }),
});

/** What a later attempt must know: on which machine it was begun. */
export const TokenTrialBegun = z.looseObject({ node: z.string() });
export type TokenTrialBegun = z.infer<typeof TokenTrialBegun>;

export const RotateTokenData = z.strictObject({ in_use: z.literal(true) });

const JITTER_SECONDS_MAX = 3_600;
const JITTER_SECONDS_DEFAULT = 30;

export const UpgradeAgentPayload = z.strictObject({
  /** The newest of the channel when absent. */
  version: AgentVersion.optional(),
  channel: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .default('stable'),
  /** It begins within so long, at a moment that the command's id decides. */
  jitter_seconds: z.int().min(0).max(JITTER_SECONDS_MAX).default(JITTER_SECONDS_DEFAULT),
});
export type UpgradeAgentPayload = z.infer<typeof UpgradeAgentPayload>;

export const UpgradeAgentData = z.strictObject({
  /** Whether another version runs now. */
  changed: z.boolean(),
  from: AgentVersion,
  /** The one that runs now. */
  version: AgentVersion,
  /** From the switch until it was known to be well, or the one before ran again. */
  took_ms: z.number().optional(),
});
export type UpgradeAgentData = z.infer<typeof UpgradeAgentData>;

export const UpgradeK3sPayload = z.strictObject({
  /** That of the channel when absent. */
  version: K3sVersion.optional(),
  channel: K3sChannel.default('stable'),
  /** Only this one; all nodes of the cluster when absent. */
  node: DnsSubdomain.optional(),
  /** Whether pods are moved to other nodes first. */
  drain: z.boolean().default(true),
});
export type UpgradeK3sPayload = z.infer<typeof UpgradeK3sPayload>;

export const UpgradeK3sData = z.strictObject({
  version: K3sVersion,
  /** Those that had another k3s, in their order. */
  nodes: z.array(
    z.strictObject({
      node: z.string(),
      role: z.enum(['server', 'worker']),
      from: z.string(),
      state: z.enum(['waits', 'asked', 'begun', 'done', 'failed', 'gone']),
      /** Of `failed`: what its machine says. */
      why: z.string().nullable(),
    }),
  ),
});
export type UpgradeK3sData = z.infer<typeof UpgradeK3sData>;

/** What a later attempt must know: for which version. */
export const K3sUpgradeBegun = z.looseObject({ to: K3sVersion });
export type K3sUpgradeBegun = z.infer<typeof K3sUpgradeBegun>;

/** What a later attempt must know: on which machine it was begun, and for what. */
export const UpgradeBegun = z.looseObject({
  node: z.string(),
  from: AgentVersion,
  version: AgentVersion,
});
export type UpgradeBegun = z.infer<typeof UpgradeBegun>;

export const JoinTokenData = z.strictObject({
  /** What "token list" shows and "token delete" takes. The token itself stands beside it: it is secret. */
  id: z.string(),
  role: z.enum(['agent', 'server']),
  expires: z.string(),
  servers: z.array(z.string()),
});
export type JoinTokenData = z.infer<typeof JoinTokenData>;
