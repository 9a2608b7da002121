/**
 * Settings for k3s that somebody else has left on this machine. k3s reads them together with ours. They
 * are accepted, unless they contradict ours or something else that the agent relies on.
 */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_ADMIN_KUBECONFIG_FILE,
  K3S_CONFIG_FILE,
  K3S_DATA_DIRECTORY,
  K3S_ENVIRONMENT_FILES,
  K3S_MAIN_CONFIG_FILE,
  type K3sRole,
} from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { type K3sConfig, settingsOfOtherVersions } from './config.ts';
import { k3sConfigFiles } from './config-files.ts';

/** Variables of k3s, and the flag that each stands for (docs.k3s.io, "k3s server", "k3s agent"). */
const VARIABLES: Readonly<Record<string, string>> = {
  K3S_CONFIG_FILE: 'config',
  K3S_DATA_DIR: 'data-dir',
  K3S_KUBECONFIG_OUTPUT: 'write-kubeconfig',
  K3S_NODE_NAME: 'node-name',
  K3S_TOKEN: 'token',
  K3S_TOKEN_FILE: 'token-file',
  K3S_URL: 'server',
};

/** Settings that may only have this value: the agent relies on it, or the node would not become ready. */
const FIXED: Readonly<Record<string, string>> = {
  config: K3S_MAIN_CONFIG_FILE,
  'data-dir': K3S_DATA_DIRECTORY,
  'disable-agent': 'false',
  'disable-apiserver': 'false',
  'disable-controller-manager': 'false',
  'disable-scheduler': 'false',
  'https-listen-port': '6443',
  rootless: 'false',
  'with-node-id': 'false',
  'write-kubeconfig': K3S_ADMIN_KUBECONFIG_FILE,
};
/** Settings that only `join` may make: to which cluster this node belongs. A server may choose its token. */
const OF_JOINING: Readonly<Record<K3sRole, readonly string[]>> = {
  server: ['server'],
  agent: ['server', 'token', 'token-file'],
};
const FLAGS: Readonly<Record<string, string>> = {
  'node-name': '--node-name',
  'node-label': '--node-label',
  'node-taint': '--node-taint',
  'node-ip': '--node-ip',
  disable: '--traefik',
  'cluster-init': '--ha',
  'tls-san': '--tls-san',
  'cluster-cidr': '--cluster-cidr',
  'service-cidr': '--service-cidr',
};

interface Deps {
  readonly files: Files;
}

interface WantedK3s {
  readonly role: K3sRole;
  readonly nodeName: string;
  readonly config: K3sConfig;
}

export interface Setting {
  readonly key: string;
  /** Written as `key+`: adds to what other files say. */
  readonly adds: boolean;
  /** Whether k3s reads it after our file. */
  readonly later: boolean;
  readonly value: unknown;
  /** `/etc/rancher/k3s/config.yaml:3` */
  readonly place: string;
}

/**
 * @returns the settings of others that k3s will use, each with its place
 * @throws AgentError CONFIG_INVALID naming the line of a setting that is refused
 */
export async function foreignK3sSettings(
  deps: Deps,
  wanted: WantedK3s,
): Promise<readonly string[]> {
  const settings = await readSettings(deps.files, wanted.role);
  for (const setting of settings) {
    const allowed = allowedValue(wanted, setting);
    if (allowed !== undefined && !isSame(setting.value, allowed.value)) {
      throw refusal(setting, allowed.value);
    }
  }
  return settings.map(({ key, place }) => `${key} (${place})`);
}

/** The only value that a setting may have; undefined if any value will do. */
function allowedValue(
  { role, nodeName, config }: WantedK3s,
  { key, adds, later }: Setting,
): { readonly value: unknown } | undefined {
  if (key === 'node-name') {
    return { value: nodeName };
  }
  if (key in FIXED) {
    return { value: FIXED[key] };
  }
  if (OF_JOINING[role].includes(key)) {
    return { value: config[key] };
  }
  // If two files have a key, k3s takes the later one, unless that one adds to the other.
  const plain = config[key];
  const added = config[`${key}+`];
  if (plain !== undefined) {
    return later && adds ? undefined : { value: plain };
  }
  return added !== undefined && later && !adds ? { value: added } : undefined;
}

function isSame(value: unknown, allowed: unknown): boolean {
  const list = (each: unknown) => [each].flat().map(String).sort();
  return Bun.deepEquals(list(value), list(allowed));
}

function refusal({ key, place, later, adds }: Setting, allowed: unknown): AgentError {
  const flag = FLAGS[key];
  const toAdd = later && !adds ? `; to add to ours, call it "${key}+"` : '';
  const instead = flag === undefined ? toAdd : `; to set it, use ${flag}`;
  const wanted = allowed === undefined ? 'not set' : `"${[allowed].flat().join(',')}"`;
  return new AgentError(
    'CONFIG_INVALID',
    `k3s would read "${key}" in ${place}, where it must be ${wanted}`,
    { hint: `Take that line out, or the file away${instead}. Then run the same command again` },
  );
}

async function readSettings(files: Files, role: K3sRole): Promise<readonly Setting[]> {
  return [
    ...(await settingsBesideOurs(files)),
    ...(await settingsInFiles(files, K3S_ENVIRONMENT_FILES[role])),
  ];
}

/**
 * What k3s' configuration files and these files of its environment say, but for our own file.
 * @throws AgentError CONFIG_INVALID where k3s could not read one either
 */
export async function settingsInFiles(
  files: Files,
  environmentFiles: readonly string[],
): Promise<readonly Setting[]> {
  const others = (await k3sConfigFiles(files)).filter((path) => path !== K3S_CONFIG_FILE);
  const settings: Setting[] = [];
  for (const path of others) {
    settings.push(...readYaml(path, (await files.readText(path)) ?? ''));
  }
  for (const path of environmentFiles) {
    settings.push(...readEnvironment(path, (await files.readText(path)) ?? ''));
  }
  return settings;
}

/** The only value with which the rest of us works; undefined where any will do. */
export function fixedValueOf(key: string): string | undefined {
  return Object.hasOwn(FIXED, key) ? FIXED[key] : undefined;
}

/** Settings in our own file that this version did not write. They stay, under the same conditions. */
async function settingsBesideOurs(files: Files): Promise<readonly Setting[]> {
  const others = await settingsOfOtherVersions({ files });
  if (Object.keys(others).length === 0) {
    return [];
  }
  const settings = readYaml(K3S_CONFIG_FILE, (await files.readText(K3S_CONFIG_FILE)) ?? '');
  return settings.filter(({ key, adds }) => Object.hasOwn(others, adds ? `${key}+` : key));
}

/** @throws AgentError CONFIG_INVALID for a file that k3s could not read either */
function readYaml(path: string, text: string): readonly Setting[] {
  let content: unknown;
  try {
    content = Bun.YAML.parse(text);
  } catch (cause) {
    throw unreadable(path, troubleOf(cause));
  }
  if (content === null || content === undefined) {
    return [];
  }
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw unreadable(path, 'it is no map of settings');
  }
  const lines = text.split('\n').map((line) => line.replace(/^\s*["']?/, ''));
  return Object.entries(content).map(([name, value]) => {
    const at = lines.findIndex(
      (line) => line.startsWith(name) && /^["']?\s*:/.test(line.slice(name.length)),
    );
    const place = at < 0 ? path : `${path}:${at + 1}`;
    return {
      key: name.replace(/\+$/, ''),
      adds: name.endsWith('+'),
      later: path > K3S_CONFIG_FILE,
      value,
      place,
    };
  });
}

function unreadable(path: string, why: string): AgentError {
  return new AgentError('CONFIG_INVALID', `k3s could not read ${path}: ${why}`, {
    hint: 'Correct that file or take it away, then run the same command again',
  });
}

/** systemd.exec(5), "EnvironmentFile=". */
function readEnvironment(path: string, text: string): readonly Setting[] {
  return text.split('\n').flatMap((line, index) => {
    const [, name = '', value = ''] = /^\s*(K3S_[A-Z_]+)=["']?(.*?)["']?\s*$/.exec(line) ?? [];
    const key = VARIABLES[name];
    return key === undefined
      ? []
      : [{ key, adds: false, later: true, value, place: `${path}:${index + 1}` }];
  });
}
