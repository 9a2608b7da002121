import { K3S_CONFIG_FILE, K3S_DROP_IN_DIRECTORY, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { writeOwn } from '../engine/own-text.ts';
import { type NetworkSettings, networkFlags, networkSettings } from './networks.ts';

/** The content of k3s' configuration file. The keys are the names of its flags. */
export interface K3sConfig {
  readonly [flag: string]: string | boolean | readonly string[];
}

/** Settings of the node. An empty list is left out of the file. */
export interface NodeSettings {
  readonly profile: 'standard' | 'lite';
  readonly node_name?: string | undefined;
  readonly node_labels: readonly string[];
  readonly node_taints: readonly string[];
  readonly node_ip: readonly string[];
  /** Told to servers alone: k3s' agents ask theirs. */
  readonly embedded_registry: boolean;
}

/**
 * Pods that name no seccomp profile get that of the container runtime instead of none (kubernetes.io,
 * "Enable the use of RuntimeDefault as the default seccomp profile"). The plus adds to what other files
 * tell the kubelet.
 */
const SECCOMP_DEFAULT = 'seccomp-default=true';
/** It tells the profile, whatever the rest will be. */
const LITE_MARK = 'max-pods=40';
const LITE_EVERYWHERE = [
  'system-reserved=memory=100Mi',
  'eviction-hard=memory.available<50Mi,nodefs.available<5%,imagefs.available<5%',
  LITE_MARK,
];
/**
 * What the kubelet keeps for k3s and the system on a small machine, and how much must be free: without it
 * pods take the memory that the API server needs, and the kernel ends whichever it likes. By role, because a
 * worker of k3s needs less than half of what a server needs (docs/INSTALL.md, "A small machine").
 */
const LITE_KUBELET: Readonly<Record<'server' | 'agent', readonly string[]>> = {
  server: ['kube-reserved=memory=450Mi', ...LITE_EVERYWHERE],
  agent: ['kube-reserved=memory=200Mi', ...LITE_EVERYWHERE],
};
/** What k3s brings and a small machine does without. */
const LITE_DISABLED = ['servicelb', 'metrics-server'];

function nodeConfig(role: K3sRole, node: NodeSettings): K3sConfig {
  const lite = node.profile === 'lite' ? LITE_KUBELET[role] : [];
  return {
    'kubelet-arg+': [SECCOMP_DEFAULT, ...lite],
    ...(node.node_name === undefined ? {} : { 'node-name': node.node_name }),
    ...(node.node_labels.length === 0 ? {} : { 'node-label': node.node_labels }),
    ...(node.node_taints.length === 0 ? {} : { 'node-taint': node.node_taints }),
    ...(node.node_ip.length === 0 ? {} : { 'node-ip': node.node_ip.join(',') }),
  };
}

export interface ServerSettings extends NodeSettings, NetworkSettings {
  readonly traefik: boolean;
  /** The data are kept in etcd, for several servers. */
  readonly ha: boolean;
  readonly tls_san: readonly string[];
  readonly server_address?: string | undefined;
}

export function serverConfig(options: ServerSettings): K3sConfig {
  const disabled = [
    ...(options.traefik ? [] : ['traefik']),
    ...(options.profile === 'lite' ? LITE_DISABLED : []),
  ];
  // Who joins by the fixed address finds it in the certificate. The plus adds to what other files say.
  const names = [...new Set([...options.tls_san, options.server_address ?? []].flat())];
  return {
    'write-kubeconfig-mode': '0600',
    ...(disabled.length === 0 ? {} : { disable: disabled }),
    ...(options.ha ? { 'cluster-init': true } : {}),
    ...(options.embedded_registry ? { 'embedded-registry': true } : {}),
    ...(names.length === 0 ? {} : { 'tls-san+': names }),
    ...networkFlags(options),
    ...nodeConfig('server', options),
  };
}

export function joiningConfig(
  { k3sTokenFile }: Places,
  serverUrl: string,
  node: NodeSettings,
): K3sConfig {
  return { server: serverUrl, 'token-file': k3sTokenFile, ...nodeConfig('agent', node) };
}

/** What the servers of a cluster have in common: one with other add-ons would take those of all away. */
export interface SharedByServers {
  readonly disable: readonly string[];
  /** Names in the certificate of the API. */
  readonly names: readonly string[];
}

export function joiningServerConfig(
  { k3sTokenFile }: Places,
  serverUrl: string,
  node: NodeSettings & NetworkSettings,
  { disable, names }: SharedByServers,
): K3sConfig {
  return {
    ...{ server: serverUrl, 'token-file': k3sTokenFile, 'write-kubeconfig-mode': '0600' },
    ...(disable.length === 0 ? {} : { disable }),
    ...(node.embedded_registry ? { 'embedded-registry': true } : {}),
    ...(names.length === 0 ? {} : { 'tls-san+': names }),
    ...networkFlags(node), // k3s refuses a server whose networks are other ones.
    ...nodeConfig('server', node),
  };
}

/** Every setting that this version or an earlier one writes into our file, in either role. */
const OWN_SETTINGS: readonly string[] = [
  'write-kubeconfig-mode',
  'disable',
  'cluster-init',
  'embedded-registry',
  'tls-san+',
  'cluster-cidr',
  'service-cidr',
  'flannel-ipv6-masq',
  'server',
  'token-file',
  'kubelet-arg+',
  'node-name',
  'node-label',
  'node-taint',
  'node-ip',
];

/** Settings that a newer agent has written. This one keeps them. */
export async function settingsOfOtherVersions(deps: { readonly files: Files }): Promise<K3sConfig> {
  const written = Object.entries((await readK3sConfig(deps)) ?? {});
  return Object.fromEntries(written.filter(([key]) => !OWN_SETTINGS.includes(key))) as K3sConfig;
}

/** For each of our own settings, the flag of k3s that it becomes. */
export const K3S_FLAGS: Readonly<Record<string, string>> = {
  'k3s.profile': 'kubelet-arg',
  'k3s.traefik': 'disable',
  'k3s.ha': 'cluster-init',
  'k3s.cluster_cidr': 'cluster-cidr',
  'k3s.service_cidr': 'service-cidr',
  'k3s.embedded_registry': 'embedded-registry',
  'k3s.tls_san': 'tls-san',
  'k3s.node_name': 'node-name',
  'k3s.node_labels': 'node-label',
  'k3s.node_taints': 'node-taint',
  'k3s.node_ip': 'node-ip',
};

/** The content of k3s' configuration, under the names of our own settings. */
export function settingsOfK3sConfig(
  config: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const list = (value: unknown) => (value === undefined ? [] : [value].flat().map(String));
  const networks = networkSettings(config);
  return {
    'k3s.profile': list(config['kubelet-arg']).includes(LITE_MARK) ? 'lite' : 'standard',
    'k3s.traefik': !list(config['disable']).includes('traefik'),
    'k3s.ha': config['cluster-init'] === true,
    'k3s.embedded_registry': config['embedded-registry'] === true,
    'k3s.cluster_cidr': networks.cluster_cidr,
    'k3s.service_cidr': networks.service_cidr,
    'k3s.tls_san': list(config['tls-san']),
    'k3s.node_name': config['node-name'] ?? null,
    'k3s.node_labels': list(config['node-label']),
    'k3s.node_taints': list(config['node-taint']),
    'k3s.node_ip': list(config['node-ip']).flatMap((text) => text.split(',')),
  };
}

/** Values are written as JSON. That is YAML, too, and takes care of quoting. */
function renderK3sConfig(config: K3sConfig): string {
  return `# Written by pipeops-agent. Put your own settings into another file beside it.\n${Object.entries(
    config,
  )
    .map(([flag, value]) => `${flag}: ${JSON.stringify(value)}\n`)
    .join('')}`;
}

/** What an earlier run has written; undefined if there is no file or it cannot be read. */
export async function readK3sConfig(deps: {
  readonly files: Files;
}): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await deps.files.readText(K3S_CONFIG_FILE);
  try {
    const parsed: unknown = text === undefined ? undefined : Bun.YAML.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined; // It will be written anew.
  }
}

export async function isK3sConfigWritten(
  deps: { readonly files: Files },
  config: K3sConfig,
): Promise<boolean> {
  return (await deps.files.readText(K3S_CONFIG_FILE)) === (await k3sConfigText(deps, config));
}

export async function writeK3sConfig(
  deps: { readonly files: Files; readonly places: Places },
  config: K3sConfig,
): Promise<void> {
  await deps.files.makeDirectory(K3S_DROP_IN_DIRECTORY, { mode: 0o755 });
  const text = await k3sConfigText(deps, config);
  await writeOwn(deps, K3S_CONFIG_FILE, text, { mode: 0o600 });
}

/** What the file has then: also what a newer agent has written there. */
export async function k3sConfigText(
  deps: { readonly files: Files },
  config: K3sConfig,
): Promise<string> {
  return renderK3sConfig({ ...config, ...(await settingsOfOtherVersions(deps)) });
}
