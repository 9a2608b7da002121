import { describeSettings, settingValues } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import { nodeNameOf } from '../config/node-settings.ts';
import type { ConfigInput } from '../config/schema.ts';
import {
  CONFIG_FILE,
  EXECUTABLE_LINK,
  HOST_STATE_DIRECTORY,
  K3S_CONFIG_FILE,
  K3S_UNITS,
  type K3sRole,
  STATE_DIRECTORY,
  UNIT_NAME,
} from '../core/places.ts';
import { BUILD } from '../core/version.ts';
import { checkMachine } from '../host/checks/machine.ts';
import { checkNodeAddresses } from '../host/checks/node-address.ts';
import { checkNoOtherCluster } from '../host/checks/other-cluster.ts';
import { checkPortsFree } from '../host/checks/ports.ts';
import { checkTools } from '../host/checks/tools.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import {
  type FinishedStep,
  type PlannedStep,
  planSteps,
  runSteps,
  type Step,
} from '../host/engine/steps.ts';
import { isActive } from '../host/engine/systemctl.ts';
import { checkFixedSettings } from '../host/k3s/fixed-settings.ts';
import { foreignK3sSettings } from '../host/k3s/foreign-settings.ts';
import { checkRole, type K3sPlan } from '../host/k3s/steps.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';

/** Kubernetes' API and the kubelet (docs.k3s.io, "Requirements", "Networking"). */
const PORTS: Readonly<Record<K3sRole, readonly number[]>> = {
  server: [6443, 10250],
  agent: [10250],
};

/** What is to be done with k3s. @throws AgentError HOST_UNSUPPORTED */
export function k3sPlan(
  context: MachineContext,
  { config: { k3s } }: LoadedConfig,
  special: Pick<K3sPlan, 'role' | 'config' | 'joinToken'>,
): Omit<K3sPlan, 'authorities'> {
  const nodeName = nodeNameOf(context.hostname, k3s.node_name);
  return { ...special, nodeName, version: k3s.version, mirror: k3s.mirror };
}

/** Looks before anything is changed. @throws AgentError what the checks throw */
export async function preflight(
  context: MachineContext,
  inventory: HostInventory,
  { config, sources }: LoadedConfig,
  k3s: Omit<K3sPlan, 'authorities'>,
  agentPorts: readonly number[],
  notice: SetUpOptions['notice'],
): Promise<void> {
  const { role } = k3s;
  checkRole(inventory, role);
  checkNodeAddresses(config.k3s.node_ip, context.addresses());
  // The file tells what an earlier run was asked for; k3s may have been upgraded since.
  const version = sources['k3s.version'] === 'file' ? undefined : k3s.version;
  await checkFixedSettings(context, { ...k3s, version, hostname: context.hostname });
  // What an earlier run has set up already does not count against this one.
  if (!inventory.has('k3s', role)) {
    await checkMachine(context, context.architecture);
    await checkTools(context);
    await checkNoOtherCluster(context);
    await checkPortsFree(context, PORTS[role]);
  }
  const foreign = await foreignK3sSettings(context, k3s);
  if (foreign.length > 0) {
    notice(`k3s also takes up what others have set here: ${foreign.join(', ')}\n`);
  }
  const held = (await isActive(context, UNIT_NAME)) ? await portsOfFile(context) : [];
  await checkPortsFree(
    context,
    agentPorts.filter((port) => !held.includes(port)),
  );
}

/** Where the daemon listens that runs. */
async function portsOfFile(context: MachineContext): Promise<readonly number[]> {
  try {
    const { config } = await loadEffectiveConfig({ ...context, env: {} }, {});
    return [config.http.port, config.http.tls_port];
  } catch {
    return []; // It is written anew.
  }
}

/** The settings that somebody gave, by flag, variable or file: what the file shall hold. */
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

/** The same for a worker, which has no session: what is only given for one is not kept. */
export function workerSettings(loaded: LoadedConfig): ConfigInput {
  const given = givenSettings(loaded);
  const settings = Object.entries(given).map(([section, values]) => {
    const isOfSession = section === 'control_plane' || section === 'cluster';
    const kept = Object.entries(values ?? {}).filter(
      ([name]) => !isOfSession || loaded.sources[`${section}.${name}`] === 'file',
    );
    return [section, Object.fromEntries(kept)] as const;
  });
  const kept = Object.fromEntries(settings.filter(([, values]) => Object.keys(values).length > 0));
  return { ...kept, agent: { ...given.agent, role: 'node' } };
}

export interface SetUpFacts {
  readonly role: K3sRole;
  readonly nodeName: string;
  readonly clusterName: string | null;
  /** Where the agent itself listens, on loopback. */
  readonly agentPorts: readonly number[];
  /** Null where the machine has no session of its own. */
  readonly controlPlane: string | null;
}

/** How a machine is to be set up, beside its settings. */
export interface SetUpOptions {
  /** Tells what would be done, and changes nothing. */
  readonly dryRun: boolean;
  /** Says something to the person who asked, while it goes on. */
  readonly notice: (text: string) => void;
}

export type SetUpOutcome =
  | { readonly kind: 'planned'; readonly plan: readonly PlannedStep[] }
  | { readonly kind: 'done'; readonly summary: SetUpSummary };

/** The promise behind `install --json` and `join --json`. */
export interface SetUpSummary {
  readonly version: string;
  readonly role: K3sRole;
  readonly node: string;
  readonly cluster_name: string | null;
  readonly control_plane: string | null;
  readonly files: readonly string[];
  readonly ports: readonly number[];
  readonly units: readonly string[];
  readonly steps: readonly FinishedStep[];
  readonly seconds: number;
}

/** Runs the steps, or tells them. @throws what a step throws */
export async function setUpMachine(
  context: MachineContext,
  steps: readonly Step[],
  facts: SetUpFacts,
  { dryRun }: SetUpOptions,
): Promise<SetUpOutcome> {
  if (dryRun) {
    return { kind: 'planned', plan: await planSteps(steps) };
  }
  const startedAt = context.clock.monotonic();
  const finished = await runSteps(context, steps, context.signal);
  const summary: SetUpSummary = {
    version: BUILD.version,
    role: facts.role,
    node: facts.nodeName,
    cluster_name: facts.clusterName,
    control_plane: facts.controlPlane,
    files: [EXECUTABLE_LINK, CONFIG_FILE, STATE_DIRECTORY, HOST_STATE_DIRECTORY, K3S_CONFIG_FILE],
    // 0 is none yet: the system chooses it anew at each start.
    ports: [...PORTS[facts.role], ...facts.agentPorts.filter((port) => port !== 0)],
    units: [K3S_UNITS[facts.role], UNIT_NAME],
    steps: finished,
    seconds: Math.round(context.clock.monotonic() - startedAt) / 1_000,
  };
  return { kind: 'done', summary };
}
