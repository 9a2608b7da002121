import { AgentError } from '../../core/errors.ts';
import { K3S_UNITS, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files, Http } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { isEnabled, isStartedOrStarting } from '../engine/systemctl.ts';
import { type UnitWatch, unitWatch } from '../engine/unit-watch.ts';
import type { K3sConfig } from './config.ts';
import { isK3sConfigured, k3sConfiguration } from './configuration.ts';
import { k3sInstallation } from './installation.ts';
import type { K3sOrigin } from './origin.ts';
import { type K3sProxy, k3sProxy } from './proxy.ts';
import { isNodeReady, waitForNode } from './ready.ts';
import { k3sRegistries, type WantedRegistries } from './registries.ts';
import { isK3sRestartDue, startCommands, startK3s } from './restart.ts';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
  readonly http: Http;
}

export interface K3sPlan {
  readonly role: K3sRole;
  /** The stable channel's when undefined. */
  readonly version: string | undefined;
  readonly origin: K3sOrigin;
  readonly config: K3sConfig;
  /** The token with which a machine joins; undefined for the first server. */
  readonly joinToken: string | undefined;
  readonly nodeName: string;
  /** Undefined where none was named: what an earlier run was told stays. */
  readonly proxy: K3sProxy | undefined;
  readonly registries: WantedRegistries;
  /** PEM that downloads trust instead of the system's authorities. */
  readonly authorities: string | undefined;
  /** A person goes without k3s' rules for SELinux. */
  readonly skipsSelinuxPackage: boolean;
}

/** What else belongs to k3s, and comes in between. */
export interface BesideK3s {
  /** Once its program is there. */
  readonly beforeStart: readonly Resource[];
  readonly whenReady: readonly Resource[];
}

/** k3s from nothing to a Ready node. */
export interface K3sResources {
  /** Configuration, program, start. */
  readonly started: readonly Resource[];
  /** The wait until its node is ready. What needs no node is made before it, while k3s starts. */
  readonly ready: readonly Resource[];
}

/**
 * @param plan undefined where nothing is to be made
 * @param how `isAdopted`: k3s was here before us, and its node is only waited for
 */
export function k3sResources(
  deps: Deps,
  inventory: HostInventory,
  plan: K3sPlan | undefined,
  { signal, isAdopted }: { readonly signal: AbortSignal; readonly isAdopted: boolean },
  { beforeStart, whenReady }: BesideK3s,
): K3sResources {
  const made = isAdopted ? undefined : plan;
  const watch = unitWatch(deps, K3S_UNITS[plan?.role ?? 'server']);
  return {
    started: [
      k3sConfiguration(deps, inventory, made),
      k3sInstallation(deps, inventory, made, signal),
      ...k3sRegistries(deps, inventory, made?.registries),
      ...beforeStart,
      ...(made === undefined ? [] : started(deps, made, watch)),
    ],
    ready: [
      ...(plan === undefined ? [] : [nodeReady({ ...deps, watch }, plan, signal)]),
      ...whenReady,
    ],
  };
}

/** Steps that leave nothing of their own: it is removed with configuration and program. */
function started(deps: Deps, plan: K3sPlan, watch: UnitWatch): readonly Resource[] {
  const { role } = plan;
  const unit = K3S_UNITS[role];
  const proxy = plan.proxy === undefined ? undefined : k3sProxy(deps, role, plan.proxy);
  // In a plan the configuration may not be written yet. It will be, and k3s reads it at its start.
  const isStarted = async () =>
    (await isStartedOrStarting(deps, unit)) &&
    (await isEnabled(deps, unit)) &&
    (await isK3sConfigured(deps, plan)) &&
    (await (proxy?.isDone() ?? true)) &&
    !(await isK3sRestartDue(deps));
  return [
    ...(proxy === undefined ? [] : [proxy]),
    {
      id: 'k3s-start',
      title: 'Start k3s',
      touches: [`systemctl enable, start or restart ${unit}`],
      ...LEAVES_NOTHING,
      isWanted: true,
      isDone: isStarted,
      // Does not wait. The next step does, and shows what k3s logs meanwhile.
      apply: async () => {
        await startK3s(deps, watch, role);
      },
      changes: async () => {
        const action = (await isStartedOrStarting(deps, unit)) ? 'restart' : 'start';
        return [{ action: (await isStarted()) ? 'keep' : action, target: unit }];
      },
      // In a plan it is not noted yet that a k3s which runs must be started again.
      commands: async () => startCommands(role, await isStartedOrStarting(deps, unit)),
    },
  ];
}

function nodeReady(
  deps: Deps & { readonly watch: UnitWatch },
  { role, nodeName }: K3sPlan,
  signal: AbortSignal,
): Resource {
  return {
    id: 'node-ready',
    title: 'Wait until the node is ready',
    touches: [],
    ...LEAVES_NOTHING,
    isWanted: true,
    isDone: () => isNodeReady(deps, role, nodeName),
    apply: (update, tellPart) =>
      waitForNode(deps, { role, hostname: nodeName }, { update, tellPart }, signal),
    changes: async () => [],
  };
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
