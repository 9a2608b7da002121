/** What every daemon has, on a server or on a worker: the only file here that knows the real ports. */
import type { Database } from 'bun:sqlite';
import { commandExecutor } from '../commands/engine/executor.ts';
import type { Releases } from '../commands/engine/handler.ts';
import { commandProgress } from '../commands/engine/progress.ts';
import { clusterMemory } from '../commands/memory/cluster.ts';
import type { Config } from '../config/schema.ts';
import { sessionState } from '../control-plane/session/state.ts';
import { bell } from '../core/bell.ts';
import { liveLogLevel } from '../core/log-levels.ts';
import type { Places } from '../core/places.ts';
import type { Clock, Files, Http, Log, Random, ThisMachine } from '../core/ports.ts';
import type { ReleaseKeys } from '../core/release-keys.ts';
import type { Traces } from '../core/traces.ts';
import type { AskHelper } from '../host/agent/ask-helper.ts';
import { channelOpener } from '../kubernetes/api/channel-stream.ts';
import { kubernetesClient } from '../kubernetes/api/client.ts';
import { kubernetesCredentials } from '../kubernetes/api/credentials.ts';
import { memoryCredentials } from '../kubernetes/memory/credentials.ts';
import { memoryObjects } from '../kubernetes/memory/objects.ts';
import { sharedFollowing } from '../kubernetes/watch/shared-following.ts';
import { systemJournal } from '../platform/journal.ts';
import { storedSockets } from '../platform/kept-sockets.ts';
import { lineLog } from '../platform/log.ts';
import { systemCertificateEnd } from '../platform/network/certificate-end.ts';
import { systemNetwork } from '../platform/network/open.ts';
import { trustingDial } from '../platform/network/trusting-dial.ts';
import { systemPageFile } from '../platform/page-files.ts';
import { processUsageReader } from '../platform/process-usage.ts';
import { systemProfiler } from '../platform/profiler.ts';
import { systemRunSoon } from '../platform/run-soon.ts';
import { systemRuntime } from '../platform/runtime.ts';
import { systemdNotify } from '../platform/systemd-notify.ts';
import { thisMachine } from '../platform/this-machine.ts';
import { workElsewhere } from '../platform/worker.ts';
import { countingPolicy } from '../policy/counting.ts';
import { livePolicy } from '../policy/live.ts';
import { rememberedRefusals } from '../policy/refusals.ts';
import { statusSource } from '../reporting/status-source.ts';
import { signIn } from '../server/dashboard/sign-in.ts';
import { givenLocalAuth, localAuth } from '../server/local-auth.ts';
import { openDatabase } from '../store/database.ts';
import { agentIdentity } from '../store/identity.ts';
import { commandJournal } from '../store/journal/commands.ts';
import { keptRefusals } from '../store/refusals.ts';
import { commandDurations } from '../telemetry/command-durations.ts';
import { measuredKubernetes } from '../telemetry/kubernetes-calls.ts';
import { type Histograms, metricHistograms } from '../telemetry/metrics/histograms.ts';
import { tracedKubernetes } from '../telemetry/traces/kubernetes-calls.ts';
import { watchLag } from '../telemetry/watch-lag.ts';
import { webSocketTraffic } from '../telemetry/websocket-traffic.ts';

import { type AccessPaths, type LiveAccess, liveAccess } from './control-plane-access.ts';
import type { LookAtMachine } from './hourly-look.ts';
import { lastDay } from './last-day.ts';
import { readMachineMark } from './machine-mark.ts';
import { newestK3sOf } from './newest-k3s.ts';
import { type DaemonPaths, daemonPaths } from './paths.ts';
import { agentLogRing, keepLine } from './realtime/agent-log.ts';
import { changedCommands, notingJournal, notingProgress } from './realtime/changed-commands.ts';
import type { stagedReleases } from './staged-releases.ts';
import { tokenTrial } from './token-trial.ts';
import { tracing } from './tracing.ts';

export interface DaemonPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly places: Places;
  readonly http: Http;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is wrong with this machine; quick, as the daemon's own user sees it. */
  readonly lookAtMachine: LookAtMachine;
  /** Certificates (PEM) of the authorities that are trusted when nothing else is said. */
  readonly authorities: () => Promise<readonly string[]>;
  /** `x64`, `arm64`. */
  readonly architecture: string;
  readonly releaseKeys: ReleaseKeys;
  /** Where log lines go. */
  readonly write: (line: string) => void;
  /** Ends the process within moments, whatever is still going on. */
  readonly endProcess: (exitCode: number) => void;
}

/** Ports that no test of the whole daemon replaces. */
const REAL = {
  runSoon: systemRunSoon,
  readPageFile: systemPageFile,
  machine: thisMachine,
  network: systemNetwork,
  certificateEnd: systemCertificateEnd,
  workElsewhere,
};

export type CommonParts = Awaited<ReturnType<typeof commonParts>>;

function phaseAtFirst({ agent }: Config, access: LiveAccess) {
  return agent.role === 'node' || access.current().token === undefined
    ? 'standalone'
    : 'registering';
}

export async function commandTypes(): Promise<readonly string[]> {
  return (await loadHandlers()).map(({ type }) => type);
}

async function loadHandlers() {
  return (await import('../commands/registry.ts')).COMMAND_HANDLERS;
}

export async function commonParts(ports: DaemonPorts, config: Config, configPath: string) {
  const { clock, random, files, http, env } = ports;
  const ownLog = logParts(ports, config);
  const { log } = ownLog;
  const paths = daemonPaths(env, configPath, ports.places);
  await files.claimDirectory(paths.credentials, { mode: 0o700 });
  const database = openStore(clock, log, paths);
  const mark = await readMachineMark(files, ports.places.machineMarkFile);
  // Before the journal is read: on a copy of a machine it begins anew.
  const identity = agentIdentity({ database, random, clock }, config.agent.id, mark);
  const remembered = rememberedCommands({ database, clock });
  const { journal, progress } = remembered;

  const measured = measuredParts(config);
  const { histograms } = measured;
  const letIn = await accessParts({ clock, files, log }, paths, config);
  const out = { ...ports, ...REAL, log, access: letIn.access };
  const traced = await tracing({ ...out, agentId: identity.id }, config);
  const seen = seenHttp(ports, histograms, traced?.traces);
  const { credentials, kubernetes, objects, ...channels } = kubernetesParts(seen, paths);
  const live = await livePolicy({ clock, files, log }, paths.policy);
  const refused = refusedParts({ clock, database }, paths);
  const { policy, refusals } = countingPolicy(live.policy, refused.refused);
  const following = { clock, random, log, client: kubernetes };
  const { follow, lags: watchLags } = watchLag(clock, sharedFollowing(following));
  const status = statusSource({ ...following, http, credentials, follow });
  const commands = clusterMemory({ clock, random, log, journal, objects });
  const executor = commandExecutor({
    clock,
    log,
    journal: commands.journal,
    progress,
    kubernetes,
    ...channels,
    ...machineParts(ports, config, letIn.access),
    ownToken: letIn.ownToken,
    workElsewhere,
    ended: commandDurations(histograms),
    traces: traced?.traces,
    loadHandlers,
    policy,
    clusterStatus: status.current,
  });
  return {
    ...ports,
    ...REAL,
    ...ownLog,
    ...serviceManager(env),
    paths,
    database,
    agentId: identity.id,
    identity,
    cloneOf: identity.cloneOf,
    credentials,
    kubernetes,
    follow,
    live,
    policy,
    refusals,
    ...refused,
    status,
    ...remembered,
    commands,
    executor,
    auth: await localTokenOf({ ...ports, log }, paths),
    signIn: signIn({ clock, random }),
    day: lastDay({ clock, files }),
    ...letIn,
    runtime: systemRuntime(),
    profiler: systemProfiler(),
    ...measured,
    watchLags,
    tracing: traced,
  };
}

/** Ports whose calls to Kubernetes are measured, and traced where traces are made. */
function seenHttp(ports: DaemonPorts, histograms: Histograms, traces: Traces | undefined) {
  const http = traces === undefined ? ports.http : tracedKubernetes(ports.http, traces);
  return { ...ports, http: measuredKubernetes({ clock: ports.clock, http, histograms }) };
}

/** How the session is let in, and what is known of it. */
async function accessParts(
  deps: Pick<DaemonPorts, 'clock' | 'files'> & { readonly log: Log },
  paths: DaemonPaths,
  config: Config,
) {
  const access = await liveAccess(deps, accessPaths(paths, config));
  const state = sessionState(deps, phaseAtFirst(config, access));
  return { access, state, ownToken: await tokenTrial({ ...deps, access, state }, paths) };
}

/** What started this process: what it is told, and what it keeps. */
function serviceManager(env: DaemonPorts['env']) {
  const notify = systemdNotify(env['NOTIFY_SOCKET']);
  return {
    notify: notify ?? (() => undefined),
    kept: storedSockets({ env, notify }, process.pid),
  };
}

/** What is counted all the time, for metrics. */
function measuredParts({ agent }: Config) {
  return {
    histograms: metricHistograms(agent.role !== 'node'),
    traffic: webSocketTraffic(),
    usage: processUsageReader(),
  };
}

/** Hardly any daemon ever asks for one. */
function releasesFrom(network: Parameters<typeof stagedReleases>[0], config: Config): Releases {
  return {
    find: async (wanted, signal) => {
      const { stagedReleases } = await import('./staged-releases.ts');
      return await stagedReleases(network, config).find(wanted, signal);
    },
  };
}

/** Who does what needs root. It is asked seldom, and by many never. */
export function rootsHelper({ places }: Pick<DaemonPorts, 'places'>): AskHelper {
  return async (request, options) => {
    const { helperClient } = await import('../host/agent/ask-helper.ts');
    const { systemAskSocket: askSocket } = await import('../platform/ask-socket.ts');
    return await helperClient({ askSocket, places })(request, options);
  };
}

/** What commands about the machine itself use. */
function machineParts(ports: DaemonPorts, config: Config, access: LiveAccess) {
  const network = { ...ports, network: systemNetwork, access };
  return {
    askHelper: rootsHelper(ports),
    releases: releasesFrom(network, config),
    newestK3s: newestK3sOf(network, config),
    node: ownNode({ machine: thisMachine }, config),
  };
}

function localTokenOf(
  deps: Pick<DaemonPorts, 'clock' | 'random' | 'files' | 'places'> & { readonly log: Log },
  { hasRootsToken, localToken }: DaemonPaths,
) {
  const before = deps.places.localTokenBeforeFile;
  return hasRootsToken
    ? givenLocalAuth(deps, { path: localToken, before })
    : localAuth(deps, localToken);
}

/** The log, its newest lines for those who read them over the API, and how much of it there is. */
function logParts({ clock, env, write }: DaemonPorts, config: Config) {
  const logRing = agentLogRing({ clock });
  const logLevel = liveLogLevel({ clock }, config.log.level);
  const log = lineLog(
    { clock },
    {
      level: logLevel.current,
      format: config.log.format,
      journal: env['JOURNAL_STREAM'] !== undefined,
      write,
      toJournal: systemJournal(env['JOURNAL_STREAM']),
      heard: (entry) => keepLine({ clock, ring: logRing }, entry),
    },
  );
  return { log, logRing, logLevel };
}

/** The journal of commands and what running ones tell, both with whoever wants to know of changes. */
function rememberedCommands(deps: { readonly database: Database; readonly clock: Clock }) {
  const changed = changedCommands();
  return {
    changedCommands: changed,
    journal: notingJournal(commandJournal({ ...deps, runSoon: systemRunSoon }), changed),
    progress: notingProgress(commandProgress(deps), changed),
  };
}

/** What the policy refuses, also of before the start. */
function refusedParts(
  { clock, database }: { readonly clock: Clock; readonly database: Database },
  paths: DaemonPaths,
) {
  const refusing = bell();
  const kept = keptRefusals(database, paths.database);
  return {
    refusing,
    keptRefusals: kept,
    refused: rememberedRefusals({ clock }, kept.read(), refusing.ring),
  };
}

/** The name of this machine's Node. */
export function ownNode(
  { machine }: { readonly machine: Pick<ThisMachine, 'hostname'> },
  config: Config,
): string {
  return config.k3s.node_name ?? machine.hostname().toLowerCase();
}

function accessPaths(paths: DaemonPaths, config: Config): AccessPaths {
  return {
    token: paths.controlPlaneToken,
    ca: config.control_plane.ca_file,
    proxyCredentials: paths.proxyCredentials,
  };
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
