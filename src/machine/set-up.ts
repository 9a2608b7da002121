import type { CliContext } from '../cli/definition/context.ts';
import { renderTable } from '../cli/terminal/render.ts';
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
import { planSteps, runSteps, type Step } from '../host/engine/steps.ts';
import { isActive } from '../host/engine/systemctl.ts';
import { checkFixedSettings } from '../host/k3s/fixed-settings.ts';
import { foreignK3sSettings } from '../host/k3s/foreign-settings.ts';
import { checkRole, type K3sPlan } from '../host/k3s/steps.ts';
import { loadEffectiveConfig } from './effective-config.ts';

/** Kubernetes' API and the kubelet (docs.k3s.io, "Requirements", "Networking"). */
const PORTS: Readonly<Record<K3sRole, readonly number[]>> = {
  server: [6443, 10250],
  agent: [10250],
};

/** What is to be done with k3s. @throws AgentError HOST_UNSUPPORTED */
export function k3sPlan(
  context: CliContext,
  { config: { k3s } }: LoadedConfig,
  special: Pick<K3sPlan, 'role' | 'config' | 'joinToken'>,
): Omit<K3sPlan, 'authorities'> {
  const nodeName = nodeNameOf(context.hostname, k3s.node_name);
  return { ...special, nodeName, version: k3s.version, mirror: k3s.mirror };
}

/** Looks before anything is changed. @throws AgentError what the checks throw */
export async function preflight(
  context: CliContext,
  inventory: HostInventory,
  { config, sources }: LoadedConfig,
  k3s: Omit<K3sPlan, 'authorities'>,
  agentPorts: readonly number[],
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
    context.io.stderr(`k3s also takes up what others have set here: ${foreign.join(', ')}\n`);
  }
  const held = (await isActive(context, UNIT_NAME)) ? await portsOfFile(context) : [];
  await checkPortsFree(
    context,
    agentPorts.filter((port) => !held.includes(port)),
  );
}

/** Where the daemon listens that runs. */
async function portsOfFile(context: CliContext): Promise<readonly number[]> {
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

export interface SetupFacts {
  readonly role: K3sRole;
  readonly nodeName: string;
  readonly clusterName: string | null;
  /** Where the agent itself listens, on loopback. */
  readonly agentPorts: readonly number[];
  /** Null where the machine has no session of its own. */
  readonly controlPlane: string | null;
}

export interface SetupOptions {
  readonly json: boolean;
  readonly dryRun: boolean;
}

/** Runs the steps, or tells them; then says what was done and where to look. */
export async function setUpMachine(
  context: CliContext,
  steps: readonly Step[],
  facts: SetupFacts,
  options: SetupOptions,
): Promise<number> {
  if (options.dryRun) {
    const plan = await planSteps(steps);
    context.io.stdout(
      options.json
        ? `${JSON.stringify({ plan }, null, 2)}\n`
        : renderTable(
            plan.map(({ title, touches, needed }) => [
              needed ? title : `(done) ${title}`,
              touches.join(', '),
            ]),
          ),
    );
    return 0;
  }
  const startedAt = context.clock.monotonic();
  const finished = await runSteps(context, steps, context.signal);
  const seconds = Math.round(context.clock.monotonic() - startedAt) / 1_000;
  const summary = {
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
    seconds,
  };
  context.io.stdout(
    options.json ? `${JSON.stringify(summary, null, 2)}\n` : renderSummary(summary, facts),
  );
  return 0;
}

function renderSummary(
  summary: {
    readonly node: string;
    readonly files: readonly string[];
    readonly ports: readonly number[];
    readonly units: readonly string[];
    readonly seconds: number;
  },
  facts: SetupFacts,
): string {
  const next =
    facts.role === 'server'
      ? 'To add a machine:   sudo pipeops-agent token create\n'
      : 'To see it in the cluster, on a server:  sudo pipeops-agent cluster-info\n';
  return (
    `\nThis machine is ready, in ${summary.seconds} s.\n\n${renderTable([
      ['Node', `${summary.node} (${facts.role === 'server' ? 'server' : 'worker'})`],
      ...(facts.clusterName === null ? [] : ([['Cluster', facts.clusterName]] as const)),
      ...(facts.role === 'server'
        ? ([['Control plane', facts.controlPlane ?? 'none (standalone)']] as const)
        : []),
      ['Files', summary.files.join(', ')],
      ['Ports', summary.ports.join(', ')],
      ['Units', summary.units.join(', ')],
    ])}\n` +
    `How it is:          sudo pipeops-agent status\n${next}To take it off:     sudo pipeops-agent uninstall\n`
  );
}
