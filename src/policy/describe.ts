import {
  HOST_VERBS,
  type HostDecision,
  type HostVerb,
  POLICY_COMMANDS,
  type PolicyFile,
} from '../protocol/files/policy.ts';
import type { EffectivePolicy } from './effective.ts';
import { SWITCHES } from './grants.ts';
import type { PodSecurityLevel } from './pod-security/rules.ts';

/** One line of `policy show`: the name is what a refusal carries. */
export interface PolicyRule {
  readonly rule: string;
  readonly meaning: string;
}

/** Every rule in force, those of the file first: they narrow what the preset has. */
export function describePolicy(effective: EffectivePolicy): readonly PolicyRule[] {
  const { file, preset, commands, switches, host, podSecurity, workersLeave } = effective;
  return [
    ...fileRules(file),
    { rule: `${preset}/commands`, meaning: commands.join(', ') || 'none' },
    { rule: `${preset}/resources`, meaning: 'kinds and verbs that these commands need' },
    {
      rule: `${preset}/protected-namespaces`,
      meaning: 'kube-* and pipeops-system: read only, and no Secrets',
    },
    {
      rule: `${preset}/protected-names`,
      meaning: 'the Service of the Kubernetes API, its endpoints, kube-root-ca.crt: read only',
    },
    {
      rule: ['nodes', 'namespaces', 'own-tokens', 'webhooks']
        .map((name) => `${preset}/${name}`)
        .join(', '),
      meaning: 'nodes are only cordoned; no owners, finalizers, tokens or webhooks of others',
    },
    ...SWITCHES.map((name) => ({
      rule: `${switches[name].source}/${name}`,
      meaning: switches[name].allowed ? 'allowed' : 'refused',
    })),
    ...HOST_VERBS.map((verb) => ({
      rule: `${host[verb].source}/host.${verb}`,
      meaning: `${HOST_DECIDED[host[verb].decision]}: ${HOST_MEANING[verb]}`,
    })),
    ...HOST_VERBS.flatMap((verb) => onlyThese(`file/windows.${verb}`, file.windows[verb])),
    {
      rule: `${workersLeave.source}/workers.leave`,
      meaning: workersLeave.allowed
        ? 'nodes whose machines have left are taken out'
        : 'nodes are only taken out by people',
    },
    {
      rule: `${podSecurity.source}/pod-security`,
      meaning: `${podSecurity.level}: ${POD_SECURITY_MEANING[podSecurity.level]}`,
    },
    {
      rule: 'proxy/path-form, proxy/query-form, proxy/method, proxy/non-resource',
      meaning: 'only requests that have one reading; beside objects: discovery, health, version',
    },
    { rule: 'proxy/impersonation', meaning: 'nobody acts as somebody else' },
  ];
}

function fileRules({ commands, namespaces, proxy, resources }: PolicyFile): readonly PolicyRule[] {
  return [
    ...denied('file/commands.deny', commands.deny),
    ...onlyThese('file/commands.allow', commands.allow),
    ...denied('file/namespaces.deny', namespaces.deny),
    ...onlyThese('file/namespaces.allow', namespaces.allow),
    ...(proxy.enabled ? [] : [{ rule: 'file/proxy.enabled', meaning: 'no proxied requests' }]),
    ...onlyThese('file/proxy.verbs', proxy.verbs),
    ...denied('file/proxy.paths.deny', proxy.paths.deny),
    ...onlyThese('file/proxy.paths.allow', proxy.paths.allow),
    ...resources.map(({ group, resource, write, verbs }, index) => ({
      rule: `file/resources[${index}]`,
      meaning: `${verbs?.join(', ') ?? (write ? 'read and write' : 'read')} ${[resource, group].filter(Boolean).join('.')}`,
    })),
  ];
}

const HOST_DECIDED: Readonly<Record<HostDecision, string>> = {
  allow: 'allowed',
  ask: 'asked for each time',
  deny: 'refused',
};

const HOST_MEANING: Readonly<Record<HostVerb, string>> = {
  snapshot: "snapshots of the cluster's data, which stay on this machine",
  join_token: 'tokens by which machines become workers',
  upgrade_agent: 'newer signed versions of the agent',
  server_token: 'tokens by which machines become servers, each worth the cluster',
  restart_k3s: 'a restart of k3s before its certificates end, or when the address has changed',
  upgrade_k3s: 'newer versions of k3s on all nodes, one after the other',
  support_bundle: 'a support bundle, without secrets, which stays on this machine',
};

const POD_SECURITY_MEANING: Readonly<Record<PodSecurityLevel, string>> = {
  privileged: 'whoever deploys is root on the nodes',
  baseline: 'no pod that would be root on its node',
  restricted: 'that, and no pod that could become root in itself',
};

function denied(rule: string, items: readonly string[]): readonly PolicyRule[] {
  return items.map((item, index) => ({ rule: `${rule}[${index}]`, meaning: `not ${item}` }));
}

function onlyThese(rule: string, items: readonly string[] | undefined): readonly PolicyRule[] {
  return items === undefined ? [] : [{ rule, meaning: `only ${items.join(', ') || 'nothing'}` }];
}

/** What `policy presets` compares: a row for each thing, a column for each preset. */
export function comparePresets(
  presets: readonly EffectivePolicy[],
): readonly (readonly [string, readonly boolean[]])[] {
  return [
    ...POLICY_COMMANDS.map(
      (type) => [type, presets.map(({ commands }) => commands.includes(type))] as const,
    ),
    ...SWITCHES.filter((name) => name !== 'exec').map(
      (name) => [name, presets.map(({ switches }) => switches[name].allowed)] as const,
    ),
    ['privileged pods', presets.map(({ podSecurity }) => podSecurity.level === 'privileged')],
    ['changes in kube-*, pipeops-system', presets.map(() => false)],
  ];
}
