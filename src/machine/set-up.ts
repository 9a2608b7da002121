import { describeSettings, settingValues } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import { nodeNameOf } from '../config/node-settings.ts';
import type { ConfigInput } from '../config/schema.ts';
import { AgentError, toAgentError } from '../core/errors.ts';
import { K3S_CONFIG_FILE, K3S_UNITS, type K3sRole } from '../core/k3s-places.ts';
import { K3S_PORTS } from '../core/k3s-ports.ts';
import { UNIT_NAME } from '../core/places.ts';
import { type Spent, secondsOf } from '../core/spent.ts';
import { BUILD } from '../core/version.ts';
import { dropLeaveNote, readLeaveNote } from '../host/cluster/leave-note.ts';
import {
  applyResources,
  type FinishedStep,
  type PlannedStep,
  planResources,
  type StepReport,
} from '../host/engine/apply.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import type { Resource } from '../host/engine/resource.ts';
import {
  beginInstallation,
  finishInstallation,
  type InstallationState,
} from '../host/engine/step-journal.ts';
import { removeUnfinishedFiles } from '../host/engine/unfinished-files.ts';
import type { K3sPlan } from '../host/k3s/resources.ts';
import type { AdoptionPlan } from './adopt.ts';
import type { Beforehand } from './beforehand.ts';
import type { ClusterNetworksChoice } from './cluster-networks.ts';
import type { MachineContext } from './context.ts';
import { isUpgrade, stateNow } from './finished.ts';
import { k3sProxyPlan } from './outbound.ts';

/** Before it is known where k3s comes from. */
export type PlannedK3s = Omit<
  K3sPlan,
  'authorities' | 'origin' | 'registries' | 'skipsSelinuxPackage'
>;

/** How k3s is to be set up. @throws AgentError HOST_UNSUPPORTED */
export function k3sPlan(
  context: MachineContext,
  { config }: LoadedConfig,
  special: Pick<K3sPlan, 'role' | 'config' | 'joinToken'>,
): PlannedK3s {
  const { k3s } = config;
  const nodeName = nodeNameOf(context.hostname, k3s.node_name);
  const proxy = k3sProxyPlan(context, config);
  return { ...special, nodeName, version: k3s.version, proxy };
}

/** The settings that were given by flag, variable or file. They become the content of the file. */
export function givenSettings({ config, sources }: LoadedConfig): ConfigInput {
  const values = settingValues(config);
  const given: Record<string, Record<string, unknown>> = {};
  for (const { path } of describeSettings()) {
    const [section = '', name = ''] = path.split('.');
    if (sources[path] !== 'default') {
      given[section] = { ...given[section], [name]: values[path] };
    }
  }
  return given as ConfigInput;
}

/** The same for a worker. It has no session, so settings of a session are not kept. */
export function workerSettings(loaded: LoadedConfig): ConfigInput {
  const given = givenSettings(loaded);
  const settings = Object.entries(given).map(([section, values]) => {
    const isOfServer = (name: string) =>
      section === 'control_plane' ||
      section === 'cluster' ||
      (['base_url', 'mirror'].includes(name) && isOffered(loaded));
    const kept = Object.entries(values ?? {}).filter(
      ([name]) => !isOfServer(name) || loaded.sources[`${section}.${name}`] === 'file',
    );
    return [section, Object.fromEntries(kept)] as const;
  });
  const kept = Object.fromEntries(settings.filter(([, values]) => Object.keys(values).length > 0));
  return { ...kept, agent: { ...kept['agent'], role: 'node' } };
}

/** Whether k3s comes from a server of the cluster (machine/tokens/offer.ts): that ends with the token. */
export function isOffered({ config: { agent, k3s } }: LoadedConfig): boolean {
  return agent.base_url !== undefined && k3s.mirror === `${agent.base_url}/k3s`;
}

export interface SetUpFacts {
  readonly role: K3sRole;
  readonly nodeName: string;
  readonly clusterName: string | null;
  /** Ports on loopback on which the agent itself listens. */
  readonly agentPorts: readonly number[];
  /** Null where the machine has no session of its own. */
  readonly controlPlane: string | null;
  /** Of a k3s that was here before us. */
  readonly adoption?: AdoptionPlan | undefined;
  /** Null where the cluster has k3s' usual ones; of a machine that joins they are the cluster's. */
  readonly networks: ClusterNetworksChoice | null;
  /** What this run did before its first step. */
  readonly before: Beforehand;
}

/** How the set-up runs, apart from the machine's settings. */
export interface SetUpOptions {
  /** Only tells what would be done. */
  readonly dryRun: boolean;
  /** The bundle that everything is taken from; undefined: from the network. */
  readonly bundle: string | undefined;
  /** Lets a firewall pass what the node needs. */
  readonly opensFirewall: boolean;
  /** Tells the person something on the way. */
  readonly notice: (text: string) => void;
  /** Hears of each step, beside the person. */
  readonly report?: ((report: StepReport) => Promise<void>) | undefined;
}

export type SetUpOutcome =
  | {
      readonly kind: 'planned';
      readonly plan: readonly PlannedStep[];
      readonly adoption: AdoptionPlan | undefined;
      readonly networks: ClusterNetworksChoice | null;
    }
  | { readonly kind: 'done'; readonly summary: SetUpSummary };

/** The document of `install --json` and `join --json`. Its fields are a promise. */
export interface SetUpSummary {
  readonly version: string;
  readonly role: K3sRole;
  /** k3s was here before us: it is used as it is, and stays. */
  readonly adopted: boolean;
  readonly node: string;
  readonly cluster_name: string | null;
  readonly control_plane: string | null;
  readonly networks: ClusterNetworksChoice | null;
  readonly files: readonly string[];
  readonly ports: readonly number[];
  readonly units: readonly string[];
  /** What was fetched by install.sh, looked at and asked before the first step. */
  readonly checks: readonly Spent[];
  readonly steps: readonly FinishedStep[];
  /** Of all of it, with install.sh where that began it. */
  readonly seconds: number;
}

/**
 * Makes everything that is not in place yet, or only tells what that would be.
 * @throws what a resource throws. If this machine was never in use, its hint names the way back
 */
export async function setUpMachine(
  context: MachineContext,
  inventory: HostInventory,
  resources: readonly Resource[],
  facts: SetUpFacts,
  { dryRun, report }: SetUpOptions,
): Promise<SetUpOutcome> {
  if (dryRun) {
    const { adoption, networks } = facts;
    return { kind: 'planned', plan: await planResources(resources), adoption, networks };
  }
  await checkNotLeaving(context);
  const checks = [...facts.before.checks];
  const finished = await offeringTheWayBack(context, inventory, facts, async () => {
    if ((await noteIfUsed(context, inventory)) === 'unfinished') {
      await removeUnfinishedFiles(context, resources, inventory);
      if (await isUpgrade(context)) {
        await finishInstallation(context);
      }
    }
    await beginInstallation(context, inventory);
    await dropLeaveNote(context);
    const steps = await applyResources({ ...context, report }, resources, context.signal);
    await finishInstallation(context);
    return steps;
  });
  const summary: SetUpSummary = {
    version: BUILD.version,
    role: facts.role,
    adopted: facts.adoption !== undefined,
    node: facts.nodeName,
    cluster_name: facts.clusterName,
    control_plane: facts.controlPlane,
    networks: facts.networks,
    files: [
      context.places.executableLink,
      context.places.configFile,
      context.places.stateDirectory,
      context.places.hostStateDirectory,
      ...(facts.adoption === undefined ? [K3S_CONFIG_FILE] : []),
    ],
    // 0 is left out: there the system chooses a port anew at each start.
    ports: [...K3S_PORTS[facts.role], ...facts.agentPorts.filter((port) => port !== 0)],
    units: [K3S_UNITS[facts.role], UNIT_NAME],
    checks,
    steps: finished,
    seconds: secondsOf(context.clock.monotonic() - facts.before.startedAt),
  };
  return { kind: 'done', summary };
}

/**
 * A worker may change its mind. A server that is out of etcd would come back with data of its own.
 * @throws AgentError CLUSTER_EXISTS
 */
async function checkNotLeaving(context: MachineContext): Promise<void> {
  if ((await readLeaveNote(context))?.role === 'server') {
    throw new AgentError('CLUSTER_EXISTS', 'This server is leaving its cluster', {
      hint: 'Finish that first: sudo pipeops-agent leave. Then it can join again',
    });
  }
}

/** If the machine is in use, notes that, so that it is not taken back whatever this run comes to. */
async function noteIfUsed(
  context: MachineContext,
  inventory: HostInventory,
): Promise<InstallationState> {
  const state = await stateNow(context, inventory);
  if (state === 'finished') {
    await finishInstallation(context);
  }
  return state;
}

async function offeringTheWayBack<T>(
  context: MachineContext,
  inventory: HostInventory,
  { role, clusterName }: SetUpFacts,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    // The person must be told why it failed, even if nobody can read how far it came.
    const state = await noteIfUsed(context, inventory).catch(() => undefined);
    if (state !== 'unfinished') {
      throw thrown;
    }
    const { code, message, hint, details } = toAgentError(thrown);
    // A further server has no name of a cluster: that of the first one counts.
    const subcommand = role === 'server' && clusterName !== null ? 'install' : 'join';
    const back = `To take it back: sudo pipeops-agent ${subcommand} --undo`;
    const offering = new AgentError(code, message, {
      hint: hint === undefined ? back : `${hint}. ${back}`,
      cause: thrown,
      ...(details === undefined ? {} : { details }),
    });
    // For a bug, the place where it happened matters.
    throw thrown instanceof Error ? Object.assign(offering, { stack: thrown.stack }) : offering;
  }
}
