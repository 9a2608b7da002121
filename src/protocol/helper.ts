/**
 * What the daemon may ask of root's helper: one line of JSON on the helper's socket, answered by lines of
 * JSON. The list is closed, and every field has a limit: whoever has taken the daemon over can send
 * anything.
 */
import * as z from 'zod';
import { DnsSubdomain } from './dns-subdomain.ts';
import { K3sVersion } from './files/k3s-upgrade.ts';
import { AgentVersion } from './files/upgrade.ts';

export const HELPER_REQUEST_BYTES_MAX = 16 * 1024;

export const JOIN_TOKEN_TTL_SECONDS_MIN = 60;
export const JOIN_TOKEN_TTL_SECONDS_MAX = 7 * 24 * 3_600;

/** The command behind a request: its idempotency key. It becomes part of descriptions, so no controls. */
const commandId = z.string().regex(/^[^\p{C}]{1,128}$/u);

/**
 * Root wants to be asked on another server of the cluster, whose policy the helper does not see. It can only add to
 * what the file of this machine says.
 */
const ask = z.literal(true).optional();

export const HelperRequest = z.discriminatedUnion('verb', [
  z.strictObject({
    verb: z.literal('mint_join_token'),
    command_id: commandId,
    role: z.enum(['agent', 'server']),
    ttl_seconds: z.int().min(JOIN_TOKEN_TTL_SECONDS_MIN).max(JOIN_TOKEN_TTL_SECONDS_MAX),
    ask,
  }),
  z.strictObject({ verb: z.literal('snapshot'), command_id: commandId, ask }),
  z.strictObject({
    verb: z.literal('upgrade_agent'),
    command_id: commandId,
    version: AgentVersion,
    ask,
  }),
  z.strictObject({ verb: z.literal('upgrade_outcome'), command_id: commandId }),
  z.strictObject({ verb: z.literal('host_facts') }),
  z.strictObject({ verb: z.literal('restart_k3s') }),
  z.strictObject({
    verb: z.literal('upgrade_k3s'),
    command_id: commandId,
    version: K3sVersion,
    drain: z.boolean(),
    /** Only this one. */
    node: DnsSubdomain.optional(),
    ask,
  }),
  /** What `upgrade_k3s` was let through for: the next node of it. */
  z.strictObject({ verb: z.literal('upgrade_k3s_next'), command_id: commandId }),
  z.strictObject({ verb: z.literal('upgrade_k3s_state'), command_id: commandId }),
  z.strictObject({ verb: z.literal('support_bundle'), command_id: commandId, ask }),
]);
export type HelperRequest = z.infer<typeof HelperRequest>;

export const MintedJoinToken = z.object({
  token: z.string(),
  id: z.string(),
  role: z.enum(['agent', 'server']),
  expires: z.string(),
  servers: z.array(z.string()),
});
export type MintedJoinToken = z.infer<typeof MintedJoinToken>;

/** The data stay on the machine. */
export const MadeSnapshot = z.object({
  name: z.string(),
  created: z.string(),
  bytes: z.int(),
  datastore: z.enum(['sqlite', 'etcd']),
  node: z.string(),
});
export type MadeSnapshot = z.infer<typeof MadeSnapshot>;

/** It stays on the machine. */
export const MadeSupportBundle = z.object({
  name: z.string(),
  /** Where root finds it. */
  path: z.string(),
  created: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  node: z.string(),
});
export type MadeSupportBundle = z.infer<typeof MadeSupportBundle>;

/** How far the change of version is that a command has asked for. */
export const UpgradeState = z.discriminatedUnion('state', [
  /** Nothing is known of it. */
  z.object({ state: z.literal('none') }),
  /** That version runs here already. */
  z.object({ state: z.literal('current') }),
  z.object({ state: z.literal('under_way'), from: AgentVersion, to: AgentVersion }),
  z.object({
    state: z.literal('ended'),
    outcome: z.enum(['done', 'went-back', 'stuck']),
    from: AgentVersion,
    to: AgentVersion,
    why: z.string().nullable(),
    took_ms: z.number(),
  }),
]);
export type UpgradeState = z.infer<typeof UpgradeState>;

/** A node of an upgrade of k3s that the control plane leads. */
const LedNode = z.object({
  node: z.string(),
  role: z.enum(['server', 'worker']),
  /** The k3s that it had when the upgrade was allowed. */
  from: z.string(),
  /** `gone`: it is in the cluster no longer. */
  state: z.enum(['waits', 'asked', 'begun', 'done', 'failed', 'gone']),
  /** Of `failed`: what its machine says. */
  why: z.string().nullable(),
});
export type LedNode = z.infer<typeof LedNode>;

/** How far an upgrade of k3s is that the control plane leads, its nodes in their order. */
export const LedK3s = z.discriminatedUnion('state', [
  /** None is known of this command. */
  z.object({ state: z.literal('none') }),
  z.object({
    state: z.literal('led'),
    to: K3sVersion,
    drain: z.boolean(),
    nodes: z.array(LedNode),
  }),
]);
export type LedK3s = z.infer<typeof LedK3s>;
