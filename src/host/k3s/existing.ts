/** A k3s that somebody else has set up on this machine. Looking at it changes nothing. */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_ENVIRONMENT_FILES,
  K3S_EXECUTABLE,
  K3S_UNITS,
  type K3sRole,
  k3sUnitFile,
} from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { activeState, unitProperties } from '../engine/systemctl.ts';
import { fixedValueOf, type Setting, settingsInFiles } from './foreign-settings.ts';
import { installedK3sVersion } from './program.ts';

/** What admission policies need: src/policy/admission/manifests.ts. */
const KUBERNETES_MIN = [1, 30] as const;

/** Whose values may be shown: of all others a person is told only that they are set. */
const SHOWN = new Set([
  ...['bind-address', 'cluster-cidr', 'cluster-dns', 'cluster-domain', 'cluster-init', 'data-dir'],
  ...['disable', 'disable-cloud-controller', 'disable-helm-controller', 'disable-kube-proxy'],
  ...['disable-network-policy', 'egress-selector-mode', 'embedded-registry', 'flannel-backend'],
  ...[
    'flannel-iface',
    'https-listen-port',
    'kubelet-arg',
    'kube-apiserver-arg',
    'node-external-ip',
  ],
  ...[
    'node-ip',
    'node-label',
    'node-name',
    'node-taint',
    'secrets-encryption',
    'selinux',
    'server',
  ],
  ...['service-cidr', 'service-node-port-range', 'tls-san', 'write-kubeconfig-mode'],
]);

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

export interface ExistingK3s {
  readonly role: K3sRole;
  readonly unit: string;
  /** As systemd calls it: `active`, `failed`, `inactive`. */
  readonly state: string;
  /** `v1.36.3+k3s1`; null where the program does not say. */
  readonly version: string | null;
  /** What it is told, by flags, files and variables, with the place: no secret is in it. */
  readonly settings: readonly string[];
}

interface Found {
  readonly seen: ExistingK3s;
  readonly told: readonly Setting[];
}

/** @returns undefined where there is neither its program nor its unit */
export async function existingK3s(deps: Deps): Promise<ExistingK3s | undefined> {
  return (await find(deps))?.seen;
}

/**
 * A k3s that can be taken over as it is.
 * @throws AgentError CLUSTER_EXISTS, HOST_UNSUPPORTED, K3S_NOT_READY with what is in the way
 */
export async function adoptableK3s(deps: Deps): Promise<ExistingK3s> {
  const found = await find(deps);
  if (found === undefined) {
    throw new AgentError('USAGE', '--adopt takes over a k3s, and there is none on this machine', {
      hint: 'Leave out --adopt: then k3s is installed',
    });
  }
  const { seen, told } = found;
  if (seen.role === 'agent') {
    throw new AgentError('CLUSTER_EXISTS', 'This machine is a worker of another k3s cluster', {
      hint: 'Run install on a server of that cluster; a worker needs nothing of ours',
    });
  }
  if ((await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
    throw new AgentError(
      'CLUSTER_EXISTS',
      `${seen.unit} runs a k3s that is not ${K3S_EXECUTABLE}: that cannot be taken over`,
      { hint: 'The agent works only with a k3s in that place. Use another machine' },
    );
  }
  const [major = 0, minor = 0] = (seen.version ?? '').replace(/^v/, '').split('.').map(Number);
  if (major < KUBERNETES_MIN[0] || (major === KUBERNETES_MIN[0] && minor < KUBERNETES_MIN[1])) {
    throw new AgentError(
      'HOST_UNSUPPORTED',
      `k3s ${seen.version ?? 'of an unknown version'} cannot be taken over: ` +
        `the agent needs Kubernetes ${KUBERNETES_MIN.join('.')} or newer`,
      { hint: 'Upgrade k3s first (docs.k3s.io, "Upgrades"), then run the same command again' },
    );
  }
  for (const { key, value, place } of told) {
    const wanted = fixedValueOf(key);
    if (wanted !== undefined && String(value) !== wanted) {
      throw new AgentError(
        'CLUSTER_EXISTS',
        `k3s has "${key}" in ${place}: that cannot be taken over`,
        {
          hint: `The agent works only with a k3s where it is "${wanted}". Use another machine`,
        },
      );
    }
  }
  if (seen.state !== 'active') {
    throw new AgentError('K3S_NOT_READY', `${seen.unit} is ${seen.state}, not active`, {
      hint: `Start it, and run the same command again: sudo systemctl start ${seen.unit}`,
    });
  }
  return seen;
}

async function find(deps: Deps): Promise<Found | undefined> {
  const roles: readonly K3sRole[] = ['server', 'agent'];
  for (const role of roles) {
    if ((await deps.files.stat(k3sUnitFile(role))) !== undefined) {
      return await look(deps, role);
    }
  }
  if ((await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
    return undefined;
  }
  throw new AgentError(
    'CLUSTER_EXISTS',
    `There is ${K3S_EXECUTABLE}, and no unit ${K3S_UNITS.server}`,
    {
      hint: 'Only a k3s that systemd runs under its usual name is taken over. Remove the other: k3s-uninstall.sh',
    },
  );
}

async function look(deps: Deps, role: K3sRole): Promise<Found> {
  const unit = K3S_UNITS[role];
  const [state, version, flags, inFiles] = await Promise.all([
    activeState(deps, unit),
    installedK3sVersion(deps),
    flagsOf(deps, unit),
    settingsInFiles(deps.files, [
      ...K3S_ENVIRONMENT_FILES[role],
      `${k3sUnitFile(role)}.env`, // What its installer was told.
    ]),
  ]);
  const told = [...inFiles, ...flags];
  return {
    told,
    seen: { role, unit, state, version: version ?? null, settings: told.map(described) },
  };
}

function described({ key, value, place }: Setting): string {
  const shown = SHOWN.has(key) ? [value].flat().map(String).join(',') : '(set)';
  return `${key}: ${shown} (${place})`;
}

/** `--flag value`, `--flag=value` and `--flag` of the command line that systemd runs. */
async function flagsOf(deps: Deps, unit: string): Promise<readonly Setting[]> {
  const { ExecStart = '' } = await unitProperties(deps, unit, ['ExecStart']);
  const [, argv = ''] = ExecStart.split('argv[]=');
  const [line = ''] = argv.split(' ; ');
  const words = line.split(/\s+/);
  const settings: Setting[] = [];
  for (const [index, word] of words.entries()) {
    const [, key, given] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/.exec(word) ?? [];
    if (key !== undefined) {
      const next = words[index + 1] ?? '-';
      const value = given ?? (next.startsWith('-') ? 'true' : next);
      settings.push({ key, adds: false, later: true, value, place: `a flag of ${unit}` });
    }
  }
  return settings;
}
