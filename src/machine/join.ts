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
import { serversIll, TWO_SERVERS } from '../host/cluster/server-join.ts';
import { askShared, readShared, type SharedByAgents } from '../host/cluster/shared-settings.ts';
import { openInventory } from '../host/engine/inventory.ts';
import { readUsrLocal } from '../host/facts/usr-local.ts';
import {
  joiningConfig,
  joiningServerConfig,
  readK3sConfig,
  type SharedByServers,
} from '../host/k3s/config.ts';
import {
  bootstrapTokenId,
  decodeJoinToken,
  type JoinTokenContent,
} from '../protocol/secrets/join-token.ts';
import { misplacedSecret } from '../protocol/secrets/misplaced.ts';
import { timedBeforehand } from './beforehand.ts';
import { checkNotNewer, givenBundle, k3sSource, withVersionOf } from './bundle.ts';
import { joinsNetworks } from './cluster-networks.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig, tellWarnings } from './effective-config.ts';
import { stateNow } from './finished.ts';
import { checkBounds, nameOfToken } from './join-bounds.ts';
import { chooseNodeName, type NameWishes } from './join-name.ts';
import { agentAside, agentCandidate } from './joined-agent.ts';
import { SHARED_PLACE } from './kubernetes-account.ts';
import { readCa } from './outbound.ts';
import { refuseOtherInstallation } from './packaged.ts';
import { preflight, preflightServer } from './preflight.ts';
import { wantedRegistries } from './registries.ts';
import { machineResources } from './resources.ts';
import { skipsSelinuxPackage } from './selinux-package.ts';
import { k3sPlan, type SetUpOptions, type SetUpOutcome, setUpMachine } from './set-up.ts';

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
  /** The id of the bootstrap token by which it is let in; undefined for k3s' own password. */
  readonly tokenId: string | undefined;
  /** It becomes a server, or is one; undefined for a worker. */
  readonly asServer?: SharedByServers | undefined;
  /** What its agent shares with those of the other servers; undefined where it stands aside. */
  readonly shared?: SharedByAgents | undefined;
  /** The version of k3s on the server. */
  readonly k3sVersion?: string | undefined;
}

const STANDS_ASIDE =
  'The agent of the first server is of an earlier version, which shares no session: this one has no part ' +
  'in it. Install this version there, then run here: sudo pipeops-agent install\n';

/** How a join ends where nobody can be asked. */
const CAREFUL: NameWishes = { taken: 'abort', allowClone: false };

/** `join` with a token, which contains everything else that is needed. */
export async function joinWithToken(
  context: MachineContext,
  token: string,
  wishes: WorkerWishes & { readonly name: NameWishes },
): Promise<SetUpOutcome> {
  const content = decodeJoinToken(token);
  const gate = gateOf(content);
  const { role } = content;
  const isBegun = role === 'server' && (await hasBegunAsServer(context));
  await checkSameCluster(context, content.ca);
  const { hostname } = context;
  const joined = await isJoinedWith(context, content.token, { role, hostname });
  const over =
    content.expires !== null && Date.parse(content.expires) <= context.clock.now().getTime();
  if (over && !joined) {
    throw new AgentError('JOIN_TOKEN_EXPIRED', `The join token ended at ${content.expires}`, {
      hint: 'Make a new one on a server: sudo pipeops-agent token create',
    });
  }
  const flags = await flagsOfToken(context, content, wishes.flags);
  return join(context, { ...wishes, flags }, async () => {
    const asked = joined ? undefined : gate;
    const serverUrl = await findServer(context, content.servers, content.ca, asked);
    const known =
      asked === undefined ? undefined : await askKnownNodes(context, serverUrl, content.ca, asked);
    // Once begun, this machine may itself be the server that is not well yet.
    if (role === 'server' && asked !== undefined && !isBegun) {
      checkServers(known, wishes.notice);
    }
    const { ca, token: k3sToken, k3s: k3sVersion, disable = [], names = [] } = content;
    const tokenId = bootstrapTokenId(gate);
    const target = { serverUrl, ca, k3sToken, known, k3sVersion, tokenId };
    if (role !== 'server') {
      return target;
    }
    const shared = joined
      ? await readShared(context, SHARED_PLACE)
      : await askShared(context, { url: serverUrl, ca, gate }, SHARED_PLACE);
    return { ...target, asServer: { disable, names }, shared };
  });
}

/** What the cluster lets the machine in by. Secret. @throws AgentError JOIN_TOKEN_INVALID */
function gateOf({ role, token, gate }: JoinTokenContent): string {
  const found = role === 'server' ? gate : token;
  if (found === undefined) {
    throw new AgentError('JOIN_TOKEN_INVALID', 'This token of a server cannot be used here', {
      hint: 'Make one on a server: sudo pipeops-agent token create --role server',
    });
  }
  return found;
}

/**
 * Whether an earlier run has begun to make a further server of this machine.
 * @throws AgentError CLUSTER_EXISTS on the first server of a cluster, whose data would be lost
 */
async function hasBegunAsServer(context: MachineContext): Promise<boolean> {
  const isServer = (await openInventory(context)).has('k3s', 'server');
  const told = isServer ? await readK3sConfig(context) : undefined;
  if (told !== undefined && told['server'] === undefined) {
    throw new AgentError('CLUSTER_EXISTS', 'This machine is a server of a cluster of its own', {
      hint: 'To join another cluster, end that one first: sudo pipeops-agent uninstall',
    });
  }
  return isServer;
}

/**
 * Looks again at what the token was made on: a server may have been lost since.
 * @throws AgentError SERVERS_NOT_READY
 */
function checkServers(
  known: readonly KnownNode[] | undefined,
  notice: (text: string) => void,
): void {
  const servers = (known ?? []).filter(({ isServer }) => isServer);
  const ill = servers.filter(({ isAlive }) => !isAlive);
  if (ill.length > 0) {
    throw serversIll(ill.map(({ name }) => name));
  }
  if (servers.length === 1) {
    notice(`${TWO_SERVERS}\n`);
  }
}

/** The flags, with the name that the token is for, and what all nodes of the cluster have. @throws AgentError JOIN_TOKEN_REJECTED */
async function flagsOfToken(
  context: MachineContext,
  content: JoinTokenContent,
  flags: ConfigFlags,
): Promise<ConfigFlags> {
  const { config } = await loadEffectiveConfig(context, flags);
  const { networks } = content;
  const ofToken = config.k3s.node_name === undefined ? nameOfToken(content) : undefined;
  checkBounds(context, content, config.k3s.node_name ?? ofToken);
  return {
    ...flags,
    ...(ofToken === undefined ? {} : { 'node-name': ofToken }),
    ...(networks === undefined ? {} : await joinsNetworks(context, config, networks)),
    ...(content.embedded_registry === true ? { 'embedded-registry': true } : {}),
  };
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
    const { hostname } = context;
    const isJoined = await isJoinedWith(context, k3sToken, { role: 'agent', hostname });
    const ca = isJoined ? undefined : await checkServer(context, server, k3sToken);
    const known = ca === undefined ? undefined : await askKnownNodes(context, server, ca, k3sToken);
    return { serverUrl, ca, k3sToken, known, tokenId: bootstrapTokenId(k3sToken) };
  });
}

/**
 * `install` on a machine that has joined. It stays what it is in the same cluster and gets this version of
 * the agent. On a further server the agent becomes one of those that may have the session.
 * @param token of the control plane, for all servers; a worker needs none
 * @throws AgentError CLUSTER_EXISTS if a join was begun and not finished
 */
export async function upgradeJoined(
  context: MachineContext,
  wishes: WorkerWishes,
  token: string | undefined,
): Promise<SetUpOutcome> {
  const joined = await readJoined(context);
  const inventory = await openInventory(context);
  const isFinished = (await stateNow(context, inventory)) === 'finished';
  const isServer = inventory.has('k3s', 'server');
  const what = isServer ? 'a further server' : 'a worker';
  if (joined === undefined || !isFinished) {
    throw new AgentError('CLUSTER_EXISTS', `This machine began to join a cluster as ${what}`, {
      hint:
        'To go on: sudo pipeops-agent join --token-file FILE. ' +
        'To make it something else, first: sudo pipeops-agent join --undo',
    });
  }
  wishes.notice(
    `This machine is ${what} and stays one: its agent becomes version ${BUILD.version}. ` +
      'It needs no token of a control plane.\n',
  );
  const tokenId = undefined; // The cluster was told long ago.
  return join(context, { ...wishes, token }, async () => {
    const target = { ...joined, isJoined: true, tokenId } as const;
    return isServer
      ? {
          ...target,
          asServer: await toldAsServer(context),
          shared: await readShared(context, SHARED_PLACE),
        }
      : target;
  });
}

/** What this server was told when it joined. */
async function toldAsServer(context: MachineContext): Promise<SharedByServers> {
  const told = (await readK3sConfig(context)) ?? {};
  const list = (key: string) => [told[key] ?? []].flat().map(String);
  return { disable: list('disable'), names: list('tls-san+') };
}

async function join(
  machine: MachineContext,
  wishes: WorkerWishes & { readonly name?: NameWishes; readonly token?: string | undefined },
  findTarget: () => Promise<Target>,
): Promise<SetUpOutcome> {
  const { context, before } = await timedBeforehand(machine);
  await refuseOtherInstallation(context);
  const asGiven = await loadEffectiveConfig(context, wishes.flags);
  wishes.notice(tellWarnings(context, asGiven, wishes.flags));
  const inventory = await openInventory(context);
  const target = await withProgress(context, findTarget);
  const loaded = await withFreeName(context, asGiven, target.known, wishes);
  const { config } = loaded;
  const { asServer, shared, serverUrl } = target;
  if (asServer !== undefined && shared === undefined) {
    wishes.notice(STANDS_ASIDE);
  }
  const role = asServer === undefined ? 'agent' : 'server';
  const planned = k3sPlan(context, loaded, {
    role,
    config:
      asServer === undefined
        ? joiningConfig(context.places, serverUrl, config.k3s)
        : joiningServerConfig(context.places, serverUrl, config.k3s, asServer),
    joinToken: target.k3sToken,
  });
  const bundle = await givenBundle(context, wishes.bundle, config);
  // No node may be newer than its server; what is installed already stays.
  const isBare = !inventory.has('k3s', role);
  const usual = bundle === undefined && isBare ? target.k3sVersion : undefined;
  const k3s = { ...planned, version: planned.version ?? usual };
  if (isBare) {
    checkNotNewer(bundle, target.k3sVersion);
  }
  if (isBare && target.ca !== undefined) {
    const server = { url: target.serverUrl, ca: target.ca };
    wishes.notice(await preflightServer(context, config, server));
  }
  const agentPorts = [config.http.port, ...(shared === undefined ? [] : [config.http.tls_port])];
  const settings = withVersionOf(bundle, loaded);
  const isOffline = bundle !== undefined;
  const { dryRun: isDryRun, opensFirewall } = wishes;
  const subject = { inventory, settings, k3s, agentPorts, isOffline, isDryRun, opensFirewall };
  const opens = await preflight(context, subject, wishes.notice);
  const ca = await readCa(context, config);
  const isAsked = isBare && !isOffline && !isDryRun;
  const skipsPackage = await skipsSelinuxPackage(context, { k3sRole: role, config }, isAsked);
  const source = await k3sSource(context, config, ca, bundle);
  // That of an offer is for the way to programs alone, and ends with it.
  const isOfOffer = config.control_plane.ca_file === context.places.offerCertificateFile;
  const ownCa = isOfOffer ? undefined : ca;
  const how = { role, ca: ownCa ?? shared?.ca ?? undefined } as const;
  const { registries, pulls } = await wantedRegistries(context, config, how, wishes.notice);
  const resources = machineResources(context, inventory, {
    k3s: { ...k3s, ...source, registries, skipsSelinuxPackage: skipsPackage },
    bundle,
    pulls,
    opens,
    layersUsrLocal: (await readUsrLocal(context)) === 'layer',
    adoption: undefined,
    notice: wishes.notice,
    joining: target.isJoined === true ? undefined : { tokenId: target.tokenId },
    ...(shared === undefined
      ? agentAside(loaded)
      : await agentCandidate(context, loaded, shared, {
          ca: how.ca,
          token: wishes.token,
          isJoined: target.isJoined === true,
          notice: wishes.notice,
        })),
  });
  const facts = { role, nodeName: k3s.nodeName, agentPorts, networks: null, before } as const;
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
