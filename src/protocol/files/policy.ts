/** The policy file of root, `/etc/pipeops-agent/policy.yaml`. Every key is explained in docs/POLICY.md. */
import * as z from 'zod';
import { POLICY_PRESETS } from './policy-presets.ts';
import { PolicyWindow } from './policy-window.ts';

/** Every command type that a policy can name. */
export const POLICY_COMMANDS = [
  'get_resources',
  'logs',
  'deploy',
  'update',
  'scale',
  'rollback',
  'restart',
  'delete',
  'apply',
  'cordon',
  'uncordon',
  'drain',
  'exec',
  'join_token',
  'snapshot',
  'upgrade_agent',
  'support_bundle',
  'rotate_token',
  'upgrade_k3s',
] as const;
export type PolicyCommand = (typeof POLICY_COMMANDS)[number];

/** What the agent may have root's helper do on this machine, each decided on its own. */
export const HOST_VERBS = [
  'snapshot',
  'join_token',
  'server_token',
  'upgrade_agent',
  'restart_k3s',
  'support_bundle',
  'upgrade_k3s',
] as const;
export type HostVerb = (typeof HOST_VERBS)[number];

/** Verbs of RBAC. */
const POLICY_VERBS = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
] as const;

export const POLICY_FILE_LIMIT_BYTES = 64 * 1024;
/** Entries of each list, at most. */
const LIST_MAX = 100;

const namespacePattern = z
  .string()
  .regex(/^[a-z0-9*-]{1,63}$/, 'must be a namespace, in which * stands for any characters');
const pathPattern = z
  .string()
  .max(256)
  .regex(/^\/\S*$/, 'must be a path that begins with "/", in which * stands for any characters');
const listOf = <T extends z.ZodType>(item: T) => z.array(item).max(LIST_MAX);
const command = z.enum(POLICY_COMMANDS);
/** `ask`: a person on the machine decides about each request. */
const HOST_DECISIONS = ['allow', 'ask', 'deny'] as const;
export type HostDecision = (typeof HOST_DECISIONS)[number];
const hostVerb = z.enum(HOST_DECISIONS).optional();
/** Of each verb, at most. */
const WINDOWS_MAX = 14;
const windows = z.array(PolicyWindow).max(WINDOWS_MAX).optional();
const dnsName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits, "-" and "."');

/** Access that no preset has: a custom resource, a whole group of them, a subresource. */
export const PolicyResource = z.strictObject({
  group: z.union([z.literal(''), dnsName]),
  resource: z
    .string()
    .max(253)
    .regex(
      /^(\*|[a-z0-9]([-.a-z0-9]*[a-z0-9])?)(\/[a-z]+)?$/,
      'must be a kind in the plural, or * for all of the group; a subresource behind a slash',
    ),
  scope: z.enum(['namespaced', 'cluster']).default('namespaced'),
  write: z.boolean().default(false),
  /** Exactly these verbs, instead of those for reading, or for reading and writing. */
  verbs: listOf(z.enum(POLICY_VERBS)).min(1).optional(),
});
export type PolicyResource = z.infer<typeof PolicyResource>;

export const PolicyFile = z.strictObject({
  preset: z.enum(POLICY_PRESETS).default('standard'),
  /** `allow`: only these commands of the preset's. `deny`: then without these. */
  commands: z
    .strictObject({ allow: listOf(command).optional(), deny: listOf(command).default([]) })
    .default({ deny: [] }),
  namespaces: z
    .strictObject({
      allow: listOf(namespacePattern).optional(),
      deny: listOf(namespacePattern).default([]),
    })
    .default({ deny: [] }),
  proxy: z
    .strictObject({
      enabled: z.boolean().default(true),
      verbs: listOf(z.enum(POLICY_VERBS)).optional(),
      paths: z
        .strictObject({
          allow: listOf(pathPattern).optional(),
          deny: listOf(pathPattern).default([]),
        })
        .default({ deny: [] }),
    })
    .default({ enabled: true, paths: { deny: [] } }),
  exec: z.boolean().optional(),
  attach: z.boolean().optional(),
  port_forward: z.boolean().optional(),
  secrets: z
    .strictObject({ read: z.boolean().optional(), write: z.boolean().optional() })
    .default({}),
  tunnel: z.strictObject({ kubernetes_api: z.boolean().optional() }).default({}),
  /** Whether a worker whose root says so is taken out of the cluster. */
  workers: z.strictObject({ leave: z.boolean().optional() }).default({}),
  host: z
    .strictObject({
      snapshot: hostVerb,
      /** Tokens by which machines become workers. */
      join_token: hostVerb,
      /** Tokens by which machines become servers: each is worth the whole cluster. */
      server_token: hostVerb,
      /** Newer signed versions of the agent. */
      upgrade_agent: hostVerb,
      /** Before certificates end, and after the address has changed: not for the control plane. */
      restart_k3s: hostVerb,
      /** What helps a stranger to help, without secrets; it stays on this machine. */
      support_bundle: hostVerb,
      /** Newer versions of k3s, on all nodes. */
      upgrade_k3s: hostVerb,
    } satisfies Record<HostVerb, unknown>)
    .default({}),
  /** When these are done; at any time where none is named. */
  windows: z
    .strictObject({
      snapshot: windows,
      join_token: windows,
      server_token: windows,
      upgrade_agent: windows,
      restart_k3s: windows,
      support_bundle: windows,
      upgrade_k3s: windows,
    } satisfies Record<HostVerb, unknown>)
    .default({}),
  pod_security: z.enum(['privileged', 'baseline', 'restricted']).optional(),
  resources: listOf(PolicyResource).default([]),
});
export type PolicyFile = z.infer<typeof PolicyFile>;
