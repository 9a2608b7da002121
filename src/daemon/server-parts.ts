/** What only a server has: the cluster's session and what shares it, the data plane. */
import type { Config } from '../config/schema.ts';
import type { Service } from '../core/service.ts';
import { AGENT_NAMESPACE, AGENT_SERVICE_ACCOUNT } from '../kubernetes/account/rbac.ts';
import { tokenRenewal } from '../kubernetes/account/token-renewal.ts';
import { sessionElection } from '../kubernetes/lease/election.ts';
import type { NodeStates } from '../kubernetes/nodes/states.ts';
import { journalUpkeep } from '../store/journal/upkeep.ts';
import { sessionMemory } from '../store/session-memory.ts';
import { type SessionShare, sessionShare } from '../store/session-share.ts';
import { liveCloud } from './cloud.ts';
import { commandMemory, serversToTell } from './command-memory.ts';
import { type CommonParts, ownNode } from './common-parts.ts';
import { dataPlaneParts } from './data-plane-parts.ts';
import { desiredState } from './desired-state.ts';
import { type CommonHealthDeps, serverHealth } from './health-parts.ts';
import type { DaemonPaths } from './paths.ts';
import { sessionServices } from './session-parts.ts';
import { sharedSession } from './shared-session.ts';
import { whileHolding } from './while-holding.ts';

/** Of a daemon that must not go on; systemd starts it again. */
const EXIT_LEASE_LOST = 6;
/** Bytes of randomness that tell one start of the daemon from another. */
const START_ID_BYTES = 8;

type ServerParts = Awaited<ReturnType<typeof serverParts>>;

/** What only a server has. */
export async function serverParts(parts: CommonParts, config: Config, common: CommonHealthDeps) {
  const { state, live, journal, paths } = parts;
  const hasJoined = (await parts.files.stat(paths.joinedServer)) !== undefined;
  const share = sessionShare(parts.database, !hasJoined);
  if (!share.isAlone()) {
    state.standby();
  }
  const servers = () => serversOf(health.nodes.current());
  const moving = movingSession(parts, config, { hasJoined, share, servers });
  const desired = desiredState({ ...parts, node: ownNode(parts, config) }, paths);
  const health = serverHealth(
    {
      ...parts,
      ...common,
      policyProblem: live.problem,
      journalTrouble: () => journal.trouble(),
      memoryTrouble: parts.commands.trouble,
      sharing: moving.shared.problems,
      desired: desired.facts,
    },
    config.k3s.node_name,
  );
  return {
    health,
    share,
    desired,
    ...moving,
    dataPlane: await dataPlaneParts(parts, config, paths),
  };
}

interface SharedBetweenServers {
  readonly hasJoined: boolean;
  readonly share: SessionShare;
  readonly servers: () => readonly string[] | undefined;
}

/** By which the session can go from server to server. */
function movingSession(
  parts: CommonParts,
  config: Config,
  { hasJoined, share, servers }: SharedBetweenServers,
) {
  const { clock, random, commands } = parts;
  const deps = { ...parts, client: parts.kubernetes, memory: share, servers };
  const shared = sharedSession(deps, {
    controlPlane: config.control_plane.url,
    hasJoined,
  });
  const { isAlone } = share;
  const isShared = () => shared.isShared() && commands.isShared();
  const node = ownNode(parts, config);
  const startId = Buffer.from(random.bytes(START_ID_BYTES)).toString('hex');
  const election = sessionElection(
    {
      ...deps,
      servers: serversToTell({ isAlone, isShared, servers }, node),
      obstacle: async (signal) => (await shared.obstacle(signal)) ?? (await commands.obstacle()),
      onFoundTaken: parts.state.standby,
      onLost: () => parts.endProcess(EXIT_LEASE_LOST),
    },
    { node, startId },
  );
  const memory = commandMemory({ clock, memory: commands, isAlone, servers });
  return { election, shared, commandMemory: memory };
}

function serversOf(nodes: ReturnType<NodeStates['current']>): readonly string[] | undefined {
  return nodes?.filter(({ isServer }) => isServer).map(({ name }) => name);
}

/** Services of a server. Those that act for the cluster run only while it has the session. */
export function servicesOfServer(
  parts: CommonParts,
  { health, election, share, shared, desired, commandMemory: memory, dataPlane }: ServerParts,
  config: Config,
  signal: AbortSignal,
): readonly Service[] {
  const { clock, random, files, log, journal, paths } = parts;
  const cloud = liveCloud(parts, config.facts.metadata, signal);
  const session = {
    ...parts,
    cloud,
    health: health.health,
    inbox: parts.commands.journal,
    outbox: parts.commands.journal,
    dataPlane,
    memory: sessionMemory(parts.database, config.control_plane.url),
    leavingPath: paths.leaving,
    isAlone: share.isAlone,
  };
  return [
    parts.live,
    parts.status.service,
    journalUpkeep({ clock, log, journal }),
    renewal(
      { clock, random, files, log, client: parts.kubernetes, credentials: parts.credentials },
      paths,
    ),
    dataPlane.listener,
    parts.access,
    parts.ownToken,
    shared.service,
    desired,
    whileHolding({ ...parts, election }, () => [
      memory,
      parts.executor,
      health.workers,
      sessionServices(session, config, parts.agentId()),
    ]),
  ];
}

function renewal(deps: Parameters<typeof tokenRenewal>[0], paths: DaemonPaths): Service {
  return tokenRenewal(deps, {
    namespace: AGENT_NAMESPACE,
    serviceAccount: AGENT_SERVICE_ACCOUNT,
    tokenPath: paths.renewedKubernetesToken,
  });
}
