import { AgentError } from '../../core/errors.ts';
import { type K3sRole, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { readStepJournal } from '../engine/step-journal.ts';
import { type K3sConfig, readK3sConfig } from './config.ts';
import { installedK3sVersion } from './program.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export interface WantedK3s {
  readonly role: K3sRole;
  /** The version that was asked for this time; undefined: whichever is installed. */
  readonly version: string | undefined;
  readonly nodeName: string;
  /** The machine's name, which its node has if no other was given. */
  readonly hostname: string;
  readonly config: K3sConfig;
}

/**
 * Once k3s is installed a second run cannot change its version, nor what k3s tells the cluster only
 * once, when the node registers (docs.k3s.io, "Node Labels and Taints for Agents"). Such wishes are
 * refused.
 * @throws AgentError SETTING_FIXED
 */
export async function checkFixedSettings(deps: Deps, wanted: WantedK3s): Promise<void> {
  const isInstalled = (await deps.files.stat(k3sUnitFile(wanted.role))) !== undefined;
  const installed = isInstalled ? await installedK3sVersion(deps) : undefined;
  if (installed !== undefined && wanted.version !== undefined && wanted.version !== installed) {
    throw new AgentError(
      'SETTING_FIXED',
      `k3s ${installed} is installed here; ${wanted.version} would be an upgrade, which this does not do`,
      {
        hint: 'Leave out --k3s-version (K3S_VERSION): everything else is done with the k3s there is',
      },
    );
  }
  const before = await readK3sConfig(deps);
  if (before === undefined || !(await hasStarted(deps))) {
    return;
  }
  const name = String(before['node-name'] ?? wanted.hostname.toLowerCase());
  if (name !== wanted.nodeName) {
    throw new AgentError('SETTING_FIXED', `The node is in the cluster as "${name}" already`, {
      hint: 'Leave out --node-name (K3S_NODE_NAME, k3s.node_name), or uninstall first',
    });
  }
  if (before['cluster-init'] === true && wanted.config['cluster-init'] !== true) {
    throw new AgentError('SETTING_FIXED', "The cluster's data are in etcd already", {
      hint: 'Leave out --no-ha (k3s.ha): k3s moves data to etcd, and never back to SQLite',
    });
  }
  for (const [key, flag] of [
    ['cluster-cidr', '--cluster-cidr (k3s.cluster_cidr)'],
    ['service-cidr', '--service-cidr (k3s.service_cidr)'],
  ] as const) {
    if (wanted.role === 'server' && before[key] !== wanted.config[key]) {
      const has = before[key] === undefined ? 'the usual networks' : `${key} ${before[key]}`;
      throw new AgentError('SETTING_FIXED', `The cluster was made with ${has}`, {
        hint: `Leave ${flag} as it was: the networks of a cluster cannot be changed once it is there`,
      });
    }
  }
  const kubectl = `${wanted.role === 'agent' ? 'on a server, ' : ''}sudo k3s kubectl`;
  for (const [key, flag, verb] of [
    ['node-label', '--node-label', 'label node'],
    ['node-taint', '--node-taint', 'taint node'],
  ] as const) {
    if (!sameValues(before[key], wanted.config[key])) {
      throw new AgentError(
        'SETTING_FIXED',
        `The node has registered already, with ${describe(before[key])} as ${flag}`,
        {
          hint: `Change it in the cluster: ${kubectl} ${verb} ${name} …; and leave ${flag} as it was`,
        },
      );
    }
  }
}

/** Whether an earlier run has started k3s, so that the node may be in the cluster. */
async function hasStarted(deps: Deps): Promise<boolean> {
  return (await readStepJournal(deps))['k3s-start'] !== undefined;
}

function sameValues(before: unknown, wanted: unknown): boolean {
  const sorted = (value: unknown) => (Array.isArray(value) ? value.map(String).sort() : []);
  return Bun.deepEquals(sorted(before), sorted(wanted));
}

function describe(value: unknown): string {
  return Array.isArray(value) && value.length > 0 ? value.join(',') : 'nothing';
}
