import type { Database } from 'bun:sqlite';
import { commandExecutor } from '../commands/engine/executor.ts';
import { commandProgress } from '../commands/engine/progress.ts';
import { clusterMemory } from '../commands/memory/cluster.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type SessionState, sessionState } from '../control-plane/session/state.ts';
import { K3S_UNITS } from '../core/k3s-places.ts';
import type { Places } from '../core/places.ts';
import type { Clock, Files, Http, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { BUILD } from '../core/version.ts';
import { helperClient } from '../host/agent/ask-helper.ts';
import { AGENT_NAMESPACE, AGENT_SERVICE_ACCOUNT } from '../kubernetes/account/rbac.ts';
import { tokenRenewal } from '../kubernetes/account/token-renewal.ts';
import { channelOpener } from '../kubernetes/api/channel-stream.ts';
import { kubernetesClient } from '../kubernetes/api/client.ts';
import { kubernetesCredentials } from '../kubernetes/api/credentials.ts';
import { sessionElection } from '../kubernetes/lease/election.ts';
import { memoryCredentials } from '../kubernetes/memory/credentials.ts';
import { memoryObjects } from '../kubernetes/memory/objects.ts';
import type { NodeStates } from '../kubernetes/nodes/states.ts';
import { sharedFollowing } from '../kubernetes/watch/shared-following.ts';
import { systemAskSocket } from '../platform/ask-socket.ts';
import { lineLog } from '../platform/log.ts';
import { systemCertificateEnd } from '../platform/network/certificate-end.ts';
import { systemNetwork } from '../platform/network/open.ts';
import { trustingDial } from '../platform/network/trusting-dial.ts';
import { systemRunSoon } from '../platform/run-soon.ts';
import { systemRuntime } from '../platform/runtime.ts';
import { systemdNotify } from '../platform/systemd-notify.ts';
import { thisMachine } from '../platform/this-machine.ts';
import { workElsewhere } from '../platform/worker.ts';
import { countingPolicy } from '../policy/counting.ts';
import { livePolicy } from '../policy/live.ts';
import { statusSource } from '../reporting/status-source.ts';
import { httpServer } from '../server/doors.ts';
import { givenLocalAuth, localAuth } from '../server/local-auth.ts';
import { openDatabase } from '../store/database.ts';
import { agentIdentity } from '../store/identity.ts';
import { commandJournal } from '../store/journal/commands.ts';
import { journalUpkeep } from '../store/journal/upkeep.ts';
import { sessionMemory } from '../store/session-memory.ts';
import { type SessionShare, sessionShare } from '../store/session-share.ts';
import { certificateWatch } from './certificate-watch.ts';
import { liveCloud } from './cloud.ts';
import { commandMemory, serversToTell } from './command-memory.ts';
import { type AccessPaths, type LiveAccess, liveAccess } from './control-plane-access.ts';
import { dataPlaneParts } from './data-plane-parts.ts';
import { type DaemonFacts, describeDaemon, standbyText } from './describe.ts';
import { type CommonHealthDeps, serverHealth, workerHealth } from './health-parts.ts';
import { hourlyLook, type LookAtMachine } from './hourly-look.ts';
import { idleMemory } from './idle-memory.ts';
import { readMachineMark } from './machine-mark.ts';
import { type DaemonPaths, daemonPaths } from './paths.ts';
import { sessionServices } from './session-parts.ts';
import { sharedSession } from './shared-session.ts';
import { supervise } from './supervise.ts';
import { unitStatus } from './unit-status.ts';
import { unknownSettings } from './unknown-settings.ts';
import { noteReadyOnce } from './was-ready.ts';
import { type WatchdogProbes, watchdog } from './watchdog.ts';
import { whileHolding } from './while-holding.ts';

export interface DaemonPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly places: Places;
  readonly http: Http;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is wrong with this machine; quick, as the daemon's own user sees it. */
  readonly lookAtMachine: LookAtMachine;
  /** Where log lines go. */
  readonly write: (line: string) => void;
  /** Ends the process within moments, whatever is still going on. */
  readonly endProcess: (exitCode: number) => void;
}

/** Of a daemon that must not go on; systemd starts it again. */
const EXIT_LEASE_LOST = 6;
/** Bytes of randomness that tell one start of the daemon from another. */
const START_ID_BYTES = 8;

/** Builds the daemon and runs it until the signal aborts. Reads like a parts list. */
export async function runDaemon(
  ports: DaemonPorts,
  loaded: LoadedConfig,
  configPath: string,
  signal: AbortSignal,
): Promise<void> {
  const parts = await commonParts(ports, loaded.config, configPath);
  const { clock, log, notify, journal, state, env } = parts;
  const { config } = loaded;
  const look = hourlyLook(parts, ports.lookAtMachine);
  const k3sRole = config.agent.role === 'node' ? 'agent' : 'server';
  const certificates = certificateWatch(
    { ...parts, certificateEnd: systemCertificateEnd },
    k3sRole,
  );
  const healthDeps: CommonHealthDeps = {
    ...parts,
    findings: look.findings,
    certificates: certificates.ends,
    k3sUnit: K3S_UNITS[k3sRole],
    unknownSettings: unknownSettings({ log }, loaded, configPath),
  };
  const server =
    config.agent.role === 'node' ? undefined : await serverParts(parts, config, healthDeps);
  const {
    health,
    view,
    services: healthServices,
  } = server?.health ?? workerHealth({ ...parts, ...healthDeps }, parts.paths.joinedServer);
  const dataPlane = server?.dataPlane;
  const lease = server?.election.standing;
  const facts: DaemonFacts = {
    config,
    agentId: parts.agentId,
    cloneOf: parts.cloneOf,
    startedAt: clock.monotonic(),
  };
  const sources = {
    ...describeDaemon(
      { ...parts, health, view, dataPlane, lease, commandTypes, certificates: certificates.ends },
      facts,
    ),
    auth: parts.auth,
    tokenFile: parts.paths.localToken,
    ...(dataPlane === undefined
      ? {}
      : { ...dataPlane.local, cluster: { rows: parts.status.rows } }),
  };
  const services = [
    httpServer(
      { clock, log, files: parts.files, sources },
      { port: config.http.port, socketPath: parts.paths.socket },
    ),
    // Stops as one of the last: the others may need longer to stop than systemd waits for
    // `WATCHDOG=1`.
    watchdog({ clock, log, notify }, probesOf(state, journal), watchdogIntervalMs(env)),
    ...healthServices,
    look.service,
    certificates.service,
    unitStatus({
      clock,
      notify,
      health,
      standby: () => standbyText(lease?.()),
      noteReady: noteReadyOnce(parts, parts.paths.wasReady),
    }),
    idleMemory(parts),
    ...(server === undefined ? [] : servicesOfServer(parts, server, config, signal)),
  ];
  signal.addEventListener('abort', () => notify('STOPPING=1'), { once: true });
  const { version } = BUILD;
  if (parts.cloneOf !== null) {
    log.warn('this machine is a copy of another one, and has a name of its own', {
      agent_id: parts.agentId(),
      copy_of: parts.cloneOf.id,
      since: parts.cloneOf.at,
    });
  }
  log.info('starting', { version, agent_id: parts.agentId(), role: config.agent.role });
  try {
    await supervise({ clock, log }, services, () => notify('READY=1\nSTATUS=running'), signal);
    log.info('stopped');
  } finally {
    await journal.settled();
    parts.database.close();
  }
}

type CommonParts = Awaited<ReturnType<typeof commonParts>>;

function phaseAtFirst({ agent }: Config, access: LiveAccess) {
  return agent.role === 'node' || access.current().token === undefined
    ? 'standalone'
    : 'registering';
}

async function commandTypes(): Promise<readonly string[]> {
  return (await loadHandlers()).map(({ type }) => type);
}

async function loadHandlers() {
  return (await import('../commands/registry.ts')).COMMAND_HANDLERS;
}

/** What every daemon has, on a server or on a worker. */
async function commonParts(ports: DaemonPorts, config: Config, configPath: string) {
  const { clock, random, files, http, env } = ports;
  const journaled = env['JOURNAL_STREAM'] !== undefined;
  const log = lineLog({ clock }, { ...config.log, journal: journaled, write: ports.write });
  const notify = systemdNotify(env['NOTIFY_SOCKET']) ?? (() => undefined);
  const paths = daemonPaths(env, configPath, ports.places);

  await files.claimDirectory(paths.credentials, { mode: 0o700 });
  const database = openStore(clock, log, paths);
  const mark = await readMachineMark(files, ports.places.machineMarkFile);
  // Before the journal is read: on a copy of a machine it begins anew.
  const identity = agentIdentity({ database, random, clock }, config.agent.id, mark);
  const agentId = identity.id;
  const journal = commandJournal({ database, clock, runSoon: systemRunSoon });

  const { credentials, kubernetes, openChannels, objects } = kubernetesParts(ports, paths);
  const live = await livePolicy({ clock, files, log }, paths.policy);
  const { policy, refusals } = countingPolicy(live.policy);
  const follow = sharedFollowing({ clock, random, log, client: kubernetes });
  const status = statusSource({
    clock,
    random,
    log,
    http,
    client: kubernetes,
    credentials,
    follow,
  });
  const progress = commandProgress({ clock });
  const commands = clusterMemory({ clock, random, log, journal, objects });
  const executor = commandExecutor({
    clock,
    log,
    journal: commands.journal,
    progress,
    kubernetes,
    openChannels,
    askHelper: helperClient({ askSocket: systemAskSocket, places: ports.places }),
    workElsewhere,
    loadHandlers,
    policy,
    clusterStatus: status.current,
  });
  const auth = await (paths.hasRootsToken ? givenLocalAuth : localAuth)(
    { random, files, log },
    paths.localToken,
  );
  const access = await liveAccess({ clock, files, log }, accessPaths(paths, config));
  const state = sessionState({ clock }, phaseAtFirst(config, access));
  return {
    ...ports,
    runSoon: systemRunSoon,
    log,
    notify,
    paths,
    database,
    journal,
    agentId,
    identity,
    cloneOf: identity.cloneOf,
    credentials,
    kubernetes,
    follow,
    live,
    policy,
    refusals,
    status,
    progress,
    commands,
    executor,
    auth,
    access,
    state,
    runtime: systemRuntime(),
  };
}

type ServerParts = Awaited<ReturnType<typeof serverParts>>;

/** What only a server has. */
async function serverParts(parts: CommonParts, config: Config, common: CommonHealthDeps) {
  const { state, live, journal, paths } = parts;
  const hasJoined = (await parts.files.stat(paths.joinedServer)) !== undefined;
  const share = sessionShare(parts.database, !hasJoined);
  if (!share.isAlone()) {
    state.standby();
  }
  const servers = () => serversOf(health.nodes.current());
  const moving = movingSession(parts, config, { hasJoined, share, servers });
  const health = serverHealth(
    {
      ...parts,
      ...common,
      machine: thisMachine,
      policyProblem: live.problem,
      journalTrouble: () => journal.trouble(),
      memoryTrouble: parts.commands.trouble,
      sharing: moving.shared.problems,
    },
    config.k3s.node_name,
  );
  return { health, share, ...moving, dataPlane: await dataPlaneParts(parts, config, paths) };
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
  const { clock, random, commands, paths } = parts;
  const deps = { ...parts, client: parts.kubernetes, memory: share, servers };
  const shared = sharedSession(deps, {
    tokenPath: paths.controlPlaneToken,
    controlPlane: config.control_plane.url,
    hasJoined,
  });
  const { isAlone } = share;
  const isShared = () => shared.isShared() && commands.isShared();
  const node = config.k3s.node_name ?? thisMachine.hostname().toLowerCase();
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
function servicesOfServer(
  parts: CommonParts,
  { health, election, share, shared, commandMemory: memory, dataPlane }: ServerParts,
  config: Config,
  signal: AbortSignal,
): readonly Service[] {
  const { clock, random, files, log, journal, paths } = parts;
  const cloud = liveCloud(parts, config.facts.metadata, signal);
  const session = {
    ...parts,
    cloud,
    health: health.health,
    machine: thisMachine,
    inbox: parts.commands.journal,
    outbox: parts.commands.journal,
    dataPlane,
    network: systemNetwork,
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
    shared.service,
    whileHolding({ ...parts, election }, () => [
      memory,
      parts.executor,
      health.workers,
      sessionServices(session, config, parts.agentId()),
    ]),
  ];
}

function probesOf(state: SessionState, journal: { check(): void }): WatchdogProbes {
  return {
    sessionAdvance: () => {
      const { phase } = state.snapshot();
      return phase === 'standalone' || phase === 'standby' ? undefined : state.lastAdvance();
    },
    readJournal: () => journal.check(),
  };
}

function accessPaths(paths: DaemonPaths, config: Config): AccessPaths {
  return {
    token: paths.controlPlaneToken,
    ca: config.control_plane.ca_file,
    proxyCredentials: paths.proxyCredentials,
  };
}

function renewal(deps: Parameters<typeof tokenRenewal>[0], paths: DaemonPaths): Service {
  return tokenRenewal(deps, {
    namespace: AGENT_NAMESPACE,
    serviceAccount: AGENT_SERVICE_ACCOUNT,
    tokenPath: paths.renewedKubernetesToken,
  });
}

function kubernetesParts({ clock, random, files, http }: DaemonPorts, paths: DaemonPaths) {
  const credentials = kubernetesCredentials(
    { files },
    { kubeconfig: paths.kubeconfig, renewedToken: paths.renewedKubernetesToken },
  );
  const kubernetes = kubernetesClient({ clock, http, credentials });
  const ofMemory = memoryCredentials({ clock, client: kubernetes, credentials });
  return {
    credentials,
    kubernetes,
    openChannels: channelOpener({ clock, credentials, dialTrusting: trustingDial }),
    objects: memoryObjects({
      clock,
      random,
      client: kubernetesClient({ clock, http, credentials: ofMemory }),
    }),
  };
}

/** A damaged store is kept beside a fresh one. */
function openStore(clock: Clock, log: Log, paths: DaemonPaths): Database {
  const { database, setAsidePath } = openDatabase({ clock }, paths.database);
  if (setAsidePath !== undefined) {
    log.error('the store was damaged; a fresh one was started', {
      error_code: 'STORE_CORRUPT',
      kept_as: setAsidePath,
    });
  }
  return database;
}

/** Where no watchdog is set, the loop still runs, because it finds a damaged journal. */
const WATCHDOG_INTERVAL_MS_DEFAULT = 10_000;

/** Half of what systemd waits (sd_watchdog_enabled(3)). */
function watchdogIntervalMs(env: DaemonPorts['env']): number {
  const waitMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000;
  return waitMs > 0 ? waitMs / 2 : WATCHDOG_INTERVAL_MS_DEFAULT;
}
