import { AgentError } from '../core/errors.ts';
import type { Clock, Exec, Files, Http } from '../core/ports.ts';
import type { HostInventory } from './inventory.ts';
import { isK3sConfigWritten, type K3sConfig, writeK3sConfig } from './k3s-config.ts';
import { installedK3sVersion, installK3s } from './k3s-install.ts';
import { isNodeReady, waitForNode } from './k3s-ready.ts';
import {
  K3S_CONFIG_FILE,
  K3S_EXECUTABLE,
  K3S_RESTART_FILE,
  K3S_TOKEN_FILE,
  K3S_UNITS,
  type K3sRole,
} from './paths.ts';
import type { Step } from './steps.ts';
import { invocationOf, isEnabled, isStartedOrStarting, systemctl } from './systemctl.ts';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  /** The way to downloads. */
  readonly http: Http;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface K3sPlan {
  readonly role: K3sRole;
  /** The stable channel's when undefined. */
  readonly version: string | undefined;
  readonly mirror: string | undefined;
  readonly config: K3sConfig;
  /** What a joining machine shows to the server; undefined for the first server. */
  readonly joinToken: string | undefined;
  readonly hostname: string;
  /** PEM that downloads trust instead of the system's authorities. */
  readonly authorities: string | undefined;
}

/** k3s from nothing to a Ready node: configuration, program, start, wait. */
export function k3sSteps(
  deps: Deps,
  inventory: HostInventory,
  plan: K3sPlan,
  signal: AbortSignal,
): readonly Step[] {
  const { role } = plan;
  const unit = K3S_UNITS[role];
  let endedInvocation: string | undefined;
  return [
    {
      id: 'k3s-config',
      title: 'Configure k3s',
      touches: [K3S_CONFIG_FILE, ...(plan.joinToken === undefined ? [] : [K3S_TOKEN_FILE])],
      isDone: async () =>
        (await isK3sConfigWritten(deps, plan.config)) &&
        (plan.joinToken === undefined ||
          (await deps.files.readText(K3S_TOKEN_FILE)) === `${plan.joinToken}\n`),
      apply: async () => {
        await inventory.record({ kind: 'k3s', name: role });
        // k3s reads both only when it starts. Noted first: a run that ends between goes on with it.
        if (await isStartedOrStarting(deps, unit)) {
          await deps.files.writeAtomic(K3S_RESTART_FILE, '', { mode: 0o600 });
        }
        await writeK3sConfig(deps, inventory, plan.config);
        if (plan.joinToken !== undefined) {
          await deps.files.writeAtomic(K3S_TOKEN_FILE, `${plan.joinToken}\n`, { mode: 0o600 });
        }
      },
    },
    {
      id: 'k3s-install',
      title: 'Install k3s',
      touches: [K3S_EXECUTABLE, `/etc/systemd/system/${unit}`],
      isDone: () => isInstalled(deps, role),
      apply: (update) => installK3s(deps, plan, update, signal),
    },
    {
      id: 'k3s-start',
      title: 'Start k3s',
      touches: [`systemctl enable, start ${unit}`],
      isDone: async () =>
        (await isStartedOrStarting(deps, unit)) &&
        (await isEnabled(deps, unit)) &&
        (await deps.files.stat(K3S_RESTART_FILE)) === undefined,
      apply: async () => {
        await systemctl(deps, 'enable', '--quiet', unit);
        if ((await deps.files.stat(K3S_RESTART_FILE)) !== undefined) {
          endedInvocation = await invocationOf(deps, unit);
          await systemctl(deps, 'stop', unit);
          await deps.files.remove(K3S_RESTART_FILE);
        }
        // Not waiting here: the next step does, and shows what k3s says meanwhile.
        await systemctl(deps, 'start', '--no-block', unit);
      },
    },
    {
      id: 'node-ready',
      title: 'Wait until the node is ready',
      touches: [],
      isDone: () => isNodeReady(deps, role, plan.hostname),
      apply: (update) =>
        waitForNode(deps, { role, hostname: plan.hostname, endedInvocation }, update, signal),
    },
  ];
}

/** Whatever the version: moving to another one is an upgrade, not an installation. */
async function isInstalled(deps: Deps, role: K3sRole): Promise<boolean> {
  const unitFile = await deps.files.stat(`/etc/systemd/system/${K3S_UNITS[role]}`);
  return unitFile !== undefined && (await installedK3sVersion(deps)) !== undefined;
}

/** @throws AgentError CLUSTER_EXISTS when this machine has the other role already */
export function checkRole(inventory: HostInventory, role: K3sRole): void {
  const other: K3sRole = role === 'server' ? 'agent' : 'server';
  if (inventory.has('k3s', other)) {
    const name = other === 'agent' ? 'a worker' : 'a server';
    throw new AgentError('CLUSTER_EXISTS', `This machine is ${name} of a cluster already`, {
      hint: 'To give it another role, remove it first: pipeops-agent uninstall',
    });
  }
}
