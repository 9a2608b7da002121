import type { LoadedConfig } from '../config/load.ts';
import { nodeNameOf } from '../config/node-settings.ts';
import { AgentError } from '../core/errors.ts';
import { K3S_KUBELET_CERTIFICATE_FILE, K3S_NODE_TOKEN_FILE } from '../core/k3s-places.ts';
import { withoutEnd } from '../core/text/without-end.ts';
import { BUILD } from '../core/version.ts';
import { checkServer, findServer } from '../host/cluster/join-server.ts';
import {
  checkSameCluster,
  checkSameServer,
  isJoinedWith,
  readJoined,
} from '../host/cluster/joined-worker.ts';
import { askKnownNodes, type KnownNode } from '../host/cluster/known-nodes.ts';
import { openInventory } from '../host/engine/inventory.ts';
import { joiningConfig } from '../host/k3s/config.ts';
import {
  bootstrapTokenId,
  decodeJoinToken,
  type JoinTokenContent,
} from '../protocol/secrets/join-token.ts';
import { misplacedSecret } from '../protocol/secrets/misplaced.ts';
import { checkNotNewer, givenBundle, k3sSource, withVersionOf } from './bundle.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig, tellWarnings } from './effective-config.ts';
import { stateNow } from './finished.ts';
import { checkBounds, nameOfToken } from './join-bounds.ts';
import { chooseNodeName, type NameWishes } from './join-name.ts';
import { NO_MORE_SERVERS } from './no-more-servers.ts';
import { readCa } from './outbound.ts';
import { preflight, preflightServer } from './preflight.ts';
import { wantedRegistries } from './registries.ts';
import { machineResources } from './resources.ts';
import {
  k3sPlan,
  type SetUpOptions,
  type SetUpOutcome,
  setUpMachine,
  workerSettings,
} from './set-up.ts';

/** How a person wants the worker. */
export interface WorkerWishes extends SetUpOptions {
  /** Settings that were given as flags. */
  readonly flags: ConfigFlags;
}

interface Target {
  readonly serverUrl: string;
  /** Of the server (PEM); absent where it was not asked. */
  readonly ca?: string | undefined;
  /** The token that k3s shows to the server. Secret. */
  readonly k3sToken: string;
  /** The cluster's nodes; absent where it was not asked, or does not say. */
  readonly known?: readonly KnownNode[] | undefined;
  /** It has joined long ago: nothing is told to the cluster, which may be away. */
  readonly isJoined?: true;
  /** The version of k3s on the server. */
  readonly k3sVersion?: string | undefined;
}

/** How a join ends where nobody can be asked. */
const CAREFUL: NameWishes = { taken: 'abort', allowClone: false };

/** `join` with a token, which contains everything else that is needed. */
export async function joinWithToken(
  context: MachineContext,
  token: string,
  wishes: WorkerWishes & { readonly name: NameWishes },
): Promise<SetUpOutcome> {
  const content = decodeJoinToken(token);
  if (content.role === 'server') {
    throw new AgentError('JOIN_TOKEN_INVALID', `This token is of a server: ${NO_MORE_SERVERS}`, {
      hint: 'Join as a worker; on the server: sudo pipeops-agent token create',
    });
  }
  await checkSameCluster(context, content.ca);
  const joined = await isJoinedWith(context, content.token, context.hostname);
  const over =
    content.expires !== null && Date.parse(content.expires) <= context.clock.now().getTime();
  if (over && !joined) {
    throw new AgentError('JOIN_TOKEN_EXPIRED', `The join token ended at ${content.expires}`, {
      hint: 'Make a new one on a server: sudo pipeops-agent token create',
    });
  }
  const flags = await flagsOfToken(context, content, wishes.flags);
  return join(context, { ...wishes, flags }, async () => {
    const asked = joined ? undefined : content.token;
    const serverUrl = await findServer(context, content.servers, content.ca, asked);
    const known =
      asked === undefined
        ? undefined
        : await askKnownNodes(context, serverUrl, content.ca, content.token);
    const { ca, token: k3sToken, k3s: k3sVersion } = content;
    return { serverUrl, ca, k3sToken, known, k3sVersion };
  });
}

/** The flags, with the name that the token is for. @throws AgentError JOIN_TOKEN_REJECTED */
async function flagsOfToken(
  context: MachineContext,
  content: JoinTokenContent,
  flags: ConfigFlags,
): Promise<ConfigFlags> {
  const { config } = await loadEffectiveConfig(context, flags);
  const ofToken = config.k3s.node_name === undefined ? nameOfToken(content) : undefined;
  checkBounds(context, content, config.k3s.node_name ?? ofToken);
  return ofToken === undefined ? flags : { ...flags, 'node-name': ofToken };
}

/** `join` with NODE_TYPE=agent, K3S_URL and K3S_TOKEN, as k3s' own users know it. */
export async function joinWithK3sVariables(
  context: MachineContext,
  wishes: WorkerWishes,
): Promise<SetUpOutcome> {
  const serverUrl = context.env['K3S_URL'] ?? '';
  const k3sToken = context.env['K3S_TOKEN']?.trim() ?? '';
  if (!URL.canParse(serverUrl) || !serverUrl.startsWith('https://') || k3sToken === '') {
    throw new AgentError('USAGE', 'NODE_TYPE=agent needs K3S_URL=https://… and K3S_TOKEN', {
      hint: 'Set both, or use a join token: sudo pipeops-agent join --token-file FILE',
    });
  }
  const misplaced = misplacedSecret('k3s-token', k3sToken);
  if (misplaced !== undefined) {
    throw misplaced;
  }
  if (!/^[!-~]+$/.test(k3sToken)) {
    throw new AgentError('JOIN_TOKEN_INVALID', 'K3S_TOKEN is not one word of plain characters', {
      hint: `Copy it from ${K3S_NODE_TOKEN_FILE} of the server`,
    });
  }
  return join(context, wishes, async () => {
    const server = withoutEnd(serverUrl, '/');
    await checkSameServer(context, server, k3sToken);
    const isJoined = await isJoinedWith(context, k3sToken, context.hostname);
    const ca = isJoined ? undefined : await checkServer(context, server, k3sToken);
    const known = ca === undefined ? undefined : await askKnownNodes(context, server, ca, k3sToken);
    return { serverUrl, ca, k3sToken, known };
  });
}

/**
 * `install` on a machine that is a worker. It stays a worker of the same cluster and gets this version of
 * the agent.
 * @throws AgentError CLUSTER_EXISTS if a join was begun and not finished
 */
export async function upgradeWorker(
  context: MachineContext,
  wishes: WorkerWishes,
): Promise<SetUpOutcome> {
  const joined = await readJoined(context);
  const inventory = await openInventory(context);
  const isFinished = (await stateNow(context, inventory)) === 'finished';
  if (joined === undefined || !isFinished) {
    throw new AgentError('CLUSTER_EXISTS', 'This machine began to join a cluster as a worker', {
      hint:
        'To go on: sudo pipeops-agent join --token-file FILE. ' +
        'To make it a server instead, first: sudo pipeops-agent join --undo',
    });
  }
  wishes.notice(
    `This machine is a worker and stays one: its agent becomes version ${BUILD.version}. ` +
      'It needs no token of a control plane.\n',
  );
  return join(context, wishes, async () => ({ ...joined, isJoined: true }));
}

async function join(
  context: MachineContext,
  wishes: WorkerWishes & { readonly name?: NameWishes },
  findTarget: () => Promise<Target>,
): Promise<SetUpOutcome> {
  const asGiven = await loadEffectiveConfig(context, wishes.flags);
  wishes.notice(tellWarnings(context, asGiven, wishes.flags));
  const inventory = await openInventory(context);
  const target = await withProgress(context, findTarget);
  const loaded = await withFreeName(context, asGiven, target.known, wishes);
  const { config } = loaded;
  const planned = k3sPlan(context, loaded, {
    role: 'agent',
    config: joiningConfig(context.places, target.serverUrl, config.k3s),
    joinToken: target.k3sToken,
  });
  const bundle = await givenBundle(context, wishes.bundle, config);
  // No node may be newer than its server; what is installed already stays.
  const isBare = !inventory.has('k3s', 'agent');
  const usual = bundle === undefined && isBare ? target.k3sVersion : undefined;
  const k3s = { ...planned, version: planned.version ?? usual };
  if (isBare) {
    checkNotNewer(bundle, target.k3sVersion);
  }
  if (isBare && target.ca !== undefined) {
    const server = { url: target.serverUrl, ca: target.ca };
    wishes.notice(await preflightServer(context, config, server));
  }
  const agentPorts = [config.http.port];
  const settings = withVersionOf(bundle, loaded);
  const isOffline = bundle !== undefined;
  await preflight(
    context,
    { inventory, settings, k3s, agentPorts, isOffline, isDryRun: wishes.dryRun },
    wishes.notice,
  );
  const ca = await readCa(context, config);
  const source = await k3sSource(context, config, ca, bundle);
  // That of an offer is for the way to programs alone, and ends with it.
  const isOfOffer = config.control_plane.ca_file === context.places.offerCertificateFile;
  const how = { role: 'agent', ca: isOfOffer ? undefined : ca } as const;
  const { registries, pulls } = await wantedRegistries(context, config, how, wishes.notice);
  const resources = machineResources(context, inventory, {
    k3s: { ...k3s, ...source, registries },
    bundle,
    pulls,
    adoption: undefined,
    config: workerSettings(loaded),
    joining: target.isJoined === true ? undefined : { tokenId: bootstrapTokenId(target.k3sToken) },
    expected: { role: 'node', clusterName: null, controlPlane: null },
    policy: undefined,
    controlPlaneCa: undefined,
    controlPlaneToken: undefined,
    proxyCredentials: undefined,
  });
  const facts = { role: 'agent', nodeName: k3s.nodeName, agentPorts } as const;
  return setUpMachine(
    context,
    inventory,
    resources,
    { ...facts, clusterName: null, controlPlane: null },
    wishes,
  );
}

/** The settings with a name that nobody else has. @throws AgentError NODE_NAME_TAKEN, MACHINE_ID_TAKEN */
async function withFreeName(
  context: MachineContext,
  loaded: LoadedConfig,
  known: readonly KnownNode[] | undefined,
  { flags, notice, name: nameWishes = CAREFUL }: WorkerWishes & { readonly name?: NameWishes },
): Promise<LoadedConfig> {
  if ((await context.files.stat(K3S_KUBELET_CERTIFICATE_FILE)) !== undefined) {
    return loaded; // The cluster has taken it in by its name before.
  }
  const given = loaded.config.k3s.node_name;
  const wanted = nodeNameOf(context.hostname, given);
  const name = await chooseNodeName(context, given, known, nameWishes);
  if (name === wanted) {
    return loaded;
  }
  notice(`The name "${wanted}" is taken in the cluster: this node is called "${name}".\n`);
  return loadEffectiveConfig(context, { ...flags, 'node-name': name });
}

async function withProgress(
  context: MachineContext,
  findTarget: () => Promise<Target>,
): Promise<Target> {
  const progress = await context.progress('Find a server of the cluster');
  try {
    const target = await findTarget();
    progress.done(target.serverUrl);
    return target;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
