import { AgentError } from '../../core/errors.ts';
import {
  K3S_CONFIG_FILE,
  K3S_EXECUTABLE,
  K3S_TOKEN_FILE,
  K3S_UNITS,
  type K3sRole,
} from '../../core/places.ts';
import type { Clock, Exec, Files, Http } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import type { Step } from '../engine/steps.ts';
import { isEnabled, isStartedOrStarting } from '../engine/systemctl.ts';
import { unitWatch } from '../engine/unit-watch.ts';
import { isK3sConfigWritten, type K3sConfig, writeK3sConfig } from './config.ts';
import { installedK3sVersion, installK3s } from './program.ts';
import { k3sProxy, proxyVariables } from './proxy.ts';
import { isNodeReady, waitForNode } from './ready.ts';
import { askK3sRestart, isK3sRestartDue, startK3s } from './restart.ts';

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
  readonly nodeName: string;
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
  const watch = unitWatch(deps, unit);
  const proxy = k3sProxy(deps, role);
  const isConfigured = async () =>
    (await isK3sConfigWritten(deps, plan.config)) &&
    (plan.joinToken === undefined ||
      (await deps.files.readText(K3S_TOKEN_FILE)) === `${plan.joinToken}\n`);
  return [
    {
      id: 'k3s-config',
      title: 'Configure k3s',
      touches: [K3S_CONFIG_FILE, ...(plan.joinToken === undefined ? [] : [K3S_TOKEN_FILE])],
      isDone: isConfigured,
      apply: async () => {
        await inventory.record({ kind: 'k3s', name: role });
        await askK3sRestart(deps, role);
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
    ...(Object.keys(proxyVariables(deps.env)).length === 0 ? [] : [proxy]),
    {
      id: 'k3s-start',
      title: 'Start k3s',
      touches: [`systemctl enable, start or restart ${unit}`],
      // What is not configured yet, in a plan, will be, and k3s reads it at its start.
      isDone: async () =>
        (await isStartedOrStarting(deps, unit)) &&
        (await isEnabled(deps, unit)) &&
        (await isConfigured()) &&
        (await proxy.isDone()) &&
        !(await isK3sRestartDue(deps)),
      // Not waiting here: the next step does, and shows what k3s says meanwhile.
      apply: async () => {
        await startK3s(deps, watch, role);
      },
    },
    {
      id: 'node-ready',
      title: 'Wait until the node is ready',
      touches: [],
      isDone: () => isNodeReady(deps, role, plan.nodeName),
      apply: (update) =>
        waitForNode({ ...deps, watch }, { role, hostname: plan.nodeName }, update, signal),
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
