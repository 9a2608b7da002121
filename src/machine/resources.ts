import type { ConfigInput } from '../config/schema.ts';
import { UNIT_NAME } from '../core/places.ts';
import { BUILD } from '../core/version.ts';
import { agentAccount } from '../host/agent/account.ts';
import { agentConfig } from '../host/agent/config.ts';
import { controlPlaneCa } from '../host/agent/control-plane-ca.ts';
import { controlPlaneToken, proxyCredentials } from '../host/agent/control-plane-token.ts';
import { executableSwitch, placeExecutable, pruneVersions } from '../host/agent/executable.ts';
import { agentKubeconfig, agentPermissions } from '../host/agent/kubeconfig.ts';
import { policyFile } from '../host/agent/policy-file.ts';
import { type AgentExpectation, waitForAgent } from '../host/agent/ready.ts';
import {
  helperUnits,
  k3sAskedUnits,
  k3sUpgradeUnits,
  snapshotUnits,
} from '../host/agent/root-units.ts';
import { rootUnitsStarted } from '../host/agent/root-units-started.ts';
import { agentUnit, startAgent } from '../host/agent/service.ts';
import { snapshotDirectory } from '../host/agent/snapshot-directory.ts';
import { usrLocalLayer } from '../host/agent/usr-local-layer.ts';
import { importedImages, placedImages } from '../host/bundle/images.ts';
import type { Bundle } from '../host/bundle/verify.ts';
import { adoptedK3s, inClusterAgentGone } from '../host/cluster/adopted-k3s.ts';
import { joinedServer } from '../host/cluster/joined-server.ts';
import { joinNote } from '../host/cluster/own-node.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { withOtherVersions } from '../host/engine/other-versions.ts';
import type { Resource } from '../host/engine/resource.ts';
import { unitWatch } from '../host/engine/unit-watch.ts';
import type { FirewallRule } from '../host/firewall/rule.ts';
import { registryPull } from '../host/k3s/registry-pull.ts';
import { type BesideK3s, type K3sPlan, k3sResources } from '../host/k3s/resources.ts';
import { systemReady } from '../host/k3s/system-ready.ts';
import { withoutNamespace } from '../kubernetes/account/rbac.ts';
import type { Adoption } from '../protocol/files/adoption.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';
import type { SharedSettings } from '../protocol/files/shared-settings.ts';
import { askDaemon, askSession } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';
import { KUBERNETES_ACCOUNT, permissionsManifest } from './kubernetes-account.ts';
import { policyOfPreset } from './policy-preset.ts';
import { repairResources } from './repairs.ts';

export interface MachinePlan {
  readonly k3s: K3sPlan;
  /** Of a k3s that was here before us: then nothing of `k3s` is made, only waited for. */
  readonly adoption: Adoption | undefined;
  /** Of a worker that joins now: the id of its token, where it is not k3s' own password. */
  readonly joining?: { readonly tokenId: string | undefined } | undefined;
  /** Where everything is taken from; undefined: from the network. */
  readonly bundle: Bundle | undefined;
  /** Whether k3s is to pull an image from its mirrors in the end. */
  readonly pulls: boolean;
  /** /usr/local is read-only: something writable is laid over it. */
  readonly layersUsrLocal: boolean;
  /** What the firewall is to let through from now on. */
  readonly opens: readonly FirewallRule[];
  /** The content of the agent's configuration file. */
  readonly config: ConfigInput;
  /** What the person is told at the end, and what the running agent must confirm. */
  readonly expected: Omit<AgentExpectation, 'version'>;
  /**
   * What the control plane may do here. A machine with a policy speaks for its cluster, and so gets its
   * own credentials in Kubernetes.
   */
  readonly policy: PolicyFile | undefined;
  /** What the further servers of the cluster take over from this one. */
  readonly shared: SharedSettings | undefined;
  /** PEM, when the control plane has a certificate of a private authority. */
  readonly controlPlaneCa: string | undefined;
  /** A new control-plane token; undefined leaves what is there. */
  readonly controlPlaneToken: string | undefined;
  /** `user:password` of the proxy to the control plane; undefined leaves what is there. */
  readonly proxyCredentials: string | undefined;
  /** Tells a person what stops nothing. */
  readonly notice: (text: string) => void;
}

const NO_SETTINGS: SharedSettings = { v: 1, settings: {}, ca: null };

/**
 * Everything between a bare machine and a ready agent, in the order in which it is made.
 * @param plan undefined if nothing is to be made. Then each resource can only be removed, and the list is the
 *   opposite of the order of that: what is in the cluster goes once the daemon is stopped that uses it
 */
export function machineResources(
  context: MachineContext,
  inventory: HostInventory,
  plan: MachinePlan | undefined,
): readonly Resource[] {
  const policy = plan?.policy;
  // Only names count when it is deleted, and they are the same in every policy.
  const names = permissionsManifest(policy ?? policyOfPreset('standard'), NO_SETTINGS);
  const manifests = {
    wanted: policy === undefined ? undefined : permissionsManifest(policy, plan?.shared),
    names,
    namesInside: withoutNamespace(names),
  };
  const joined = plan?.k3s.config['server'];
  const server = joined === undefined ? undefined : String(joined);
  const isServer = policy !== undefined;
  const k3s = k3sResources(
    context,
    inventory,
    plan?.k3s,
    { signal: context.signal, isAdopted: plan?.adoption !== undefined },
    besideK3s(context, plan),
  );
  // Of what k3s has written by then.
  const serverNote = joinedServer(context, inventory, server);
  const ready = [
    ...k3s.ready,
    serverNote,
    ...(plan?.joining === undefined
      ? []
      : [joinNote(context, { node: plan.k3s.nodeName, ...plan.joining }, context.signal)]),
  ];
  const inCluster = [
    agentPermissions(context, inventory, KUBERNETES_ACCOUNT, manifests),
    policyFile(context, inventory, policy),
    agentKubeconfig(context, inventory, KUBERNETES_ACCOUNT, isServer),
  ];
  const takesSnapshots = plan?.k3s.role === 'server';
  const upgradesK3s = plan !== undefined && plan.adoption === undefined;
  const units = [
    helperUnits(context, inventory),
    snapshotDirectory(context),
    snapshotUnits(context, inventory, takesSnapshots),
    k3sUpgradeUnits(context, inventory, upgradesK3s),
    k3sAskedUnits(context, inventory, upgradesK3s),
    agentUnit(context, inventory),
  ];
  const startedUnits = rootUnitsStarted(context, inventory, {
    snapshots: takesSnapshots,
    k3sUpgrades: upgradesK3s,
  });
  const resources = [
    usrLocalLayer(context, inventory, plan?.layersUsrLocal === true),
    placeExecutable(context, inventory, {
      version: BUILD.version,
      runningFrom: context.execPath,
      signed: plan?.bundle?.signed,
    }),
    ...repairResources(context, inventory, { ids: [], rules: plan?.opens ?? [] }),
    adoptedK3s(context, inventory, plan?.adoption),
    ...k3s.started,
    agentAccount(context, inventory),
    controlPlaneCa(context, inventory, plan?.controlPlaneCa),
    agentConfig(context, inventory, plan?.config),
    ...(plan === undefined ? [serverNote] : []),
    controlPlaneToken(context, inventory, plan?.controlPlaneToken),
    proxyCredentials(context, inventory, plan?.proxyCredentials),
    ...(plan === undefined
      ? [...inCluster, ...units]
      : [...units, startedUnits, ...ready, ...inCluster, ...running(context, plan)]),
  ];
  return withOtherVersions(context, inventory, resources);
}

function besideK3s(context: MachineContext, plan: MachinePlan | undefined): BesideK3s {
  if (plan === undefined || plan.adoption !== undefined) {
    return { beforeStart: [], whenReady: [] };
  }
  const { bundle, k3s, pulls } = plan;
  const { signal } = context;
  const [placed, imported] =
    bundle === undefined
      ? [[], []]
      : [
          [placedImages(context, k3s.role, bundle, signal)],
          [importedImages(context, k3s.role, bundle, signal)],
        ];
  const pulled = pulls ? [registryPull(context, k3s.registries, signal)] : [];
  return { beforeStart: placed, whenReady: [...imported, ...pulled] };
}

/** Steps that leave nothing of their own: they are undone with the program and the unit. */
function running(context: MachineContext, plan: MachinePlan): readonly Resource[] {
  const watch = unitWatch(context, UNIT_NAME);
  const daemon = { health: () => askDaemon(context, 0), tryNow: () => askSession(context) };
  const expected = { ...plan.expected, version: BUILD.version };
  const takeOver = executableSwitch(context, BUILD.version);
  return [
    takeOver.step,
    // The daemon reads changed tokens and certificates by itself.
    startAgent(context, watch, [BUILD.version, JSON.stringify(plan.config, inOrder)], takeOver),
    waitForAgent({ ...context, daemon, watch }, expected, context.signal),
    ...(isFirstServer(plan) ? [systemReady(context, plan.notice, context.signal)] : []),
    ...(hasAgent(plan) ? [inClusterAgentGone(context, KUBERNETES_ACCOUNT.namespace)] : []),
    pruneVersions(context, BUILD.version, context.execPath),
  ];
}

/** Whether k3s deploys its own parts from here: others find them in the cluster, and a k3s of before has them. */
function isFirstServer({ k3s, adoption }: MachinePlan): boolean {
  return k3s.role === 'server' && k3s.config['server'] === undefined && adoption === undefined;
}

/** Whether an agent was found that runs in the cluster. */
function hasAgent({ adoption }: MachinePlan): boolean {
  return adoption?.objects.some(({ kind }) => kind === 'Deployment') === true;
}

/** For JSON.stringify: gives the same text for the same settings in any order. */
function inOrder(_: string, value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
}
