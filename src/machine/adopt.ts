/** `install` on a machine that has a k3s already: what is there, a question, and what is taken over. */
import type { LoadedConfig } from '../config/load.ts';
import { nodeNameOf } from '../config/node-settings.ts';
import { AgentError, expectedError } from '../core/errors.ts';
import { ADOPTED, readAdoption } from '../host/cluster/adopted-k3s.ts';
import { type FoundAgent, findObjects } from '../host/cluster/found-agent.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { readMachineId } from '../host/facts/machine-id.ts';
import { adoptableK3s, type ExistingK3s, existingK3s } from '../host/k3s/existing.ts';
import { readKubernetesJson } from '../host/k3s/kubectl.ts';
import { isPrepared } from '../host/k3s/prepared.ts';
import type { Adoption } from '../protocol/files/adoption.ts';
import { parseControlPlaneToken } from '../protocol/secrets/control-plane-token.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig } from './effective-config.ts';
import { KUBERNETES_ACCOUNT } from './kubernetes-account.ts';

export interface AdoptionWishes {
  /** `--adopt` */
  readonly adopt: boolean;
  /** `--yes` */
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly notice: (text: string) => void;
  /** A person's answer; undefined where there is no terminal. */
  readonly confirm: (question: string) => Promise<boolean | undefined>;
}

/** What a person is told before the question, and a dry run. */
export interface AdoptionPlan {
  readonly k3s: ExistingK3s;
  /** What the cluster calls this machine. */
  readonly node: string;
  /** Of the agent that runs in the cluster; null where there is none. Its token only as "token". */
  readonly in_cluster_agent: { readonly takes_over: readonly string[] } | null;
}

export interface Adopted {
  readonly adoption: Adoption;
  readonly plan: AdoptionPlan;
  /** The settings of the agent in the cluster, as flags: whoever gives others has the last word. */
  readonly flags: ConfigFlags;
  /** Its token; secret. */
  readonly token: string | undefined;
}

/**
 * @returns undefined where k3s is to be installed, or was installed by us
 * @throws AgentError CLUSTER_EXISTS where nobody wants to take over what is there; USAGE,
 *   HOST_UNSUPPORTED, K3S_NOT_READY, KUBERNETES_API
 */
export async function adoptExisting(
  context: MachineContext,
  inventory: HostInventory,
  loaded: LoadedConfig,
  wishes: AdoptionWishes,
): Promise<Adopted | undefined> {
  if (isOurs(inventory)) {
    return undefined;
  }
  const isAdopted = inventory.has(ADOPTED.kind, ADOPTED.name);
  const isThere = isAdopted || (await existingK3s(context)) !== undefined;
  if (!isThere && !wishes.adopt) {
    return undefined;
  }
  const k3s = await adoptableK3s(context);
  refuseK3sSettings(loaded);
  if (!isAdopted && !wishes.dryRun) {
    refuseUnasked(k3s, wishes);
  }
  const adopted = await plan(context, loaded, k3s, isAdopted);
  if (!isAdopted) {
    wishes.notice(describe(adopted.plan));
  }
  if (!isAdopted && !wishes.dryRun && !wishes.yes) {
    await ask(k3s, wishes);
  }
  return adopted;
}

/** Whether there is a k3s that we have not made. @throws AgentError CLUSTER_EXISTS where it is none that is known */
export async function hasForeignK3s(
  context: MachineContext,
  inventory: HostInventory,
): Promise<boolean> {
  return !isOurs(inventory) && (await existingK3s(context)) !== undefined;
}

/** By an installation, or in an image. */
function isOurs(inventory: HostInventory): boolean {
  return inventory.has('k3s', 'server') || inventory.has('k3s', 'agent') || isPrepared(inventory);
}

/** Without a terminal it must be said twice: what to do, and that nobody is asked. */
function refuseUnasked(k3s: ExistingK3s, { adopt, yes }: AdoptionWishes): void {
  if (yes && !adopt) {
    throw new AgentError('USAGE', '--yes goes only with --undo or --adopt', {
      hint: `To take over k3s ${k3s.version ?? ''} as it is: install --adopt --yes`,
    });
  }
}

async function ask(k3s: ExistingK3s, { confirm }: AdoptionWishes): Promise<void> {
  const answer = await confirm('Take over this k3s as it is?');
  if (answer !== true) {
    throw new AgentError(
      'CLUSTER_EXISTS',
      `This machine already runs k3s ${k3s.version ?? ''} (${k3s.unit}), and it was not confirmed to take it over`,
      {
        hint:
          'To take it over as it is: sudo pipeops-agent install --adopt --yes (see first: --dry-run). ' +
          'Or use another machine, or remove it first: k3s-uninstall.sh',
      },
    );
  }
}

/** k3s' settings are its owner's; the name of the node is noted by an earlier run. */
function refuseK3sSettings({ sources }: LoadedConfig): void {
  const given = Object.entries(sources).filter(
    ([path, source]) =>
      path.startsWith('k3s.') && path !== 'k3s.mirror' && (source === 'flag' || source === 'env'),
  );
  if (given.length > 0) {
    throw new AgentError(
      'SETTING_FIXED',
      `k3s was here before the agent: ${given.map(([path]) => path).join(', ')} is not changed`,
      { hint: 'Leave that out, and change k3s by its own means (docs.k3s.io, "Configuration")' },
    );
  }
}

async function plan(
  context: MachineContext,
  loaded: LoadedConfig,
  k3s: ExistingK3s,
  isAdopted: boolean,
): Promise<Adopted> {
  const noted = isAdopted ? await readAdoption(context) : undefined;
  if (noted !== undefined) {
    const seen = { k3s, node: noted.node, in_cluster_agent: null };
    return { adoption: noted, plan: seen, flags: {}, token: undefined };
  }
  const { namespaceWasThere, objects, agent } = await findObjects(
    context,
    KUBERNETES_ACCOUNT.namespace,
  );
  const node = await ownNode(context);
  const settings = agent === undefined ? {} : await takenSettings(context, loaded, agent);
  // The file says it, for whoever has only that: the name of the machine need not be the node's.
  const isNamed = node !== nodeNameOf(context.hostname, undefined);
  const flags = isNamed ? { ...settings, 'node-name': node } : settings;
  const token = agent?.token === undefined ? undefined : usableToken(agent.token);
  const takes = [
    ...Object.entries(settings).map(([flag, value]) => `${flag} ${String(value)}`),
    ...(token === undefined ? [] : ['token']),
  ];
  return {
    adoption: {
      v: 1,
      k3s_version: k3s.version ?? '',
      node,
      namespace_was_there: namespaceWasThere,
      objects: [...objects],
    },
    plan: { k3s, node, in_cluster_agent: agent === undefined ? null : { takes_over: takes } },
    flags,
    token,
  };
}

const TAKEN = [
  ['apiUrl', 'api-url', 'control_plane.url'],
  ['clusterName', 'cluster-name', 'cluster.name'],
  ['agentId', 'agent-id', 'agent.id'],
] as const;

/** What nobody has given otherwise, and what is a usable value here, too. */
async function takenSettings(
  context: MachineContext,
  { sources }: LoadedConfig,
  agent: FoundAgent,
): Promise<ConfigFlags> {
  let flags: ConfigFlags = {};
  for (const [name, flag, path] of TAKEN) {
    const value = agent[name];
    if (value !== undefined && sources[path] === 'default') {
      const isUsable = await loadEffectiveConfig({ ...context, env: {} }, { [flag]: value }).then(
        () => true,
        (thrown) => expectedError(thrown).code !== 'CONFIG_INVALID',
      );
      flags = isUsable ? { ...flags, [flag]: value } : flags;
    }
  }
  return flags;
}

/** One that can be none of ours is left where it is: a person is asked for another. */
function usableToken(text: string): string | undefined {
  try {
    return parseControlPlaneToken(text);
  } catch (thrown) {
    expectedError(thrown);
    return undefined;
  }
}

interface ListedNode {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly nodeInfo?: { readonly machineID?: string } };
}

/** By the id of this machine; clones have the same one, and then the name decides. */
async function ownNode(context: MachineContext): Promise<string> {
  const list = (await readKubernetesJson(context, ['get', 'nodes'])) as {
    readonly items?: readonly ListedNode[];
  };
  const machineId = await readMachineId(context.files);
  const nodes = list.items ?? [];
  const same = nodes.filter(
    ({ status }) => machineId !== '' && status?.nodeInfo?.machineID === machineId,
  );
  const expected = nodeNameOf(context.hostname, undefined);
  const own =
    same.length === 1 ? same[0] : nodes.find(({ metadata }) => metadata.name === expected);
  if (own === undefined) {
    throw new AgentError('CLUSTER_EXISTS', 'k3s here has no node that is this machine', {
      hint: 'Compare "sudo k3s kubectl get nodes" with the name of this machine: hostname',
    });
  }
  return own.metadata.name;
}

function describe({ k3s, node, in_cluster_agent: agent }: AdoptionPlan): string {
  const settings = k3s.settings.map((setting) => `    ${setting}\n`).join('');
  const takes = agent?.takes_over ?? [];
  const ofAgent =
    agent === null
      ? ''
      : `  Taken over from the agent that runs in the cluster: ${takes.join(', ') || 'nothing'}.\n` +
        '  It is removed when this one is registered, and not before.\n';
  return (
    `This machine already runs k3s ${k3s.version ?? ''} (${k3s.unit}), as node ${node}.\n` +
    (settings === '' ? '  It runs with its own defaults.\n' : `  It is told:\n${settings}`) +
    '  Added: the agent with its user, unit and files; namespace, accounts and permissions in Kubernetes.\n' +
    ofAgent +
    '  Never touched: the program, unit, settings and data of k3s, and what runs in it. ' +
    'It is not restarted, upgraded or removed; "uninstall" leaves it as it is now.\n'
  );
}
