import { hostname } from 'node:os';
import { commandExecutor } from '../commands/executor.ts';
import { COMMAND_HANDLERS } from '../commands/registry.ts';
import type { LoadedConfig } from '../config/load.ts';
import { type Config, durationMs } from '../config/schema.ts';
import { restClient } from '../control-plane/rest-client.ts';
import { restSession } from '../control-plane/rest-session.ts';
import { type SessionState, sessionState } from '../control-plane/session-state.ts';
import type { Clock, Files, Http, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { BUILD } from '../core/version.ts';
import { channelOpener } from '../kubernetes/channel-stream.ts';
import { kubernetesClient } from '../kubernetes/client.ts';
import { readClusterStatus } from '../kubernetes/cluster-status.ts';
import { kubernetesCredentials } from '../kubernetes/credentials.ts';
import { AGENT_NAMESPACE, AGENT_SERVICE_ACCOUNT } from '../kubernetes/rbac.ts';
import { tokenRenewal } from '../kubernetes/token-renewal.ts';
import { lineLog } from '../platform/log.ts';
import { systemdNotify } from '../platform/systemd-notify.ts';
import { trustingDial } from '../platform/trusting-dial.ts';
import { livePolicy } from '../policy/live-policy.ts';
import { httpServer } from '../server/http-server.ts';
import { type CommandJournal, commandJournal } from '../store/command-journal.ts';
import { openDatabase } from '../store/database.ts';
import { agentIdentity } from '../store/identity.ts';
import { type DaemonFacts, describeDaemon } from './describe-daemon.ts';
import { type DaemonPaths, daemonPaths } from './paths.ts';
import { nodeReadiness, serverReadiness } from './readiness.ts';
import { supervise } from './supervise.ts';
import { watchdog } from './watchdog.ts';

export interface DaemonPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly http: Http;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where log lines go. */
  readonly write: (line: string) => void;
}

/** Longest control-plane token, bytes. */
const TOKEN_LIMIT_BYTES = 16 * 1024;

/** Builds the daemon and runs it until the signal aborts. Reads like a parts list. */
export async function runDaemon(
  ports: DaemonPorts,
  { config }: LoadedConfig,
  configPath: string,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, files, http, env } = ports;
  const journaled = env['JOURNAL_STREAM'] !== undefined;
  const log = lineLog({ clock }, { ...config.log, journal: journaled, write: ports.write });
  const notify = systemdNotify(env['NOTIFY_SOCKET']) ?? (() => undefined);
  const paths = daemonPaths(env, configPath);

  const { database, setAsidePath } = openDatabase({ clock }, paths.database);
  if (setAsidePath !== undefined) {
    log.error('the store was damaged; a fresh one was started', {
      error_code: 'STORE_CORRUPT',
      kept_as: setAsidePath,
    });
  }
  const journal = commandJournal({ database, clock });
  const agentId = agentIdentity({ database, random }, config.agent.id);

  const credentials = kubernetesCredentials(
    { files },
    { kubeconfig: paths.kubeconfig, renewedToken: paths.renewedKubernetesToken },
  );
  const kubernetes = kubernetesClient({ http, credentials });
  const openChannels = channelOpener({ clock, credentials, dialTrusting: trustingDial });
  const policy = await livePolicy({ clock, files, log }, paths.policy);
  const executor = commandExecutor({
    ...{ clock, log, journal, kubernetes, openChannels },
    handlers: COMMAND_HANDLERS,
    policy: policy.policy,
  });
  const standalone = config.agent.role === 'node' || (await readToken(files, paths)) === undefined;
  const state = sessionState({ clock }, standalone ? 'standalone' : 'registering');
  const readiness =
    config.agent.role === 'node'
      ? nodeReadiness({ clock, http })
      : serverReadiness({
          ...{ clock, kubernetes, session: () => state.snapshot() },
          policyProblem: () => policy.problem(),
        });
  const facts: DaemonFacts = { config, agentId, startedAt: clock.monotonic() };
  const sources = describeDaemon({ clock, journal, executor, state, readiness }, facts);
  const server = httpServer(
    { log, files, sources },
    { port: config.http.port, socketPath: paths.socket },
  );
  const serverRole: Service[] = [
    policy,
    executor,
    tokenRenewal(
      { clock, random, files, log, client: kubernetes, credentials },
      {
        namespace: AGENT_NAMESPACE,
        serviceAccount: AGENT_SERVICE_ACCOUNT,
        tokenPath: paths.renewedKubernetesToken,
      },
    ),
  ];
  const services = [
    server,
    ...(config.agent.role === 'node' ? [] : serverRole),
    ...(standalone
      ? []
      : [await session({ ...ports, log, journal, kubernetes, state }, config, agentId, paths)]),
    watchdog(
      { clock, log, notify },
      {
        sessionAdvance: () => (standalone ? undefined : state.lastAdvance()),
        readJournal: () => void journal.counts(),
      },
      watchdogIntervalMs(env),
    ),
  ];
  log.info('starting', { version: BUILD.version, agent_id: agentId, role: config.agent.role });
  try {
    await supervise({ clock, log }, services, () => notify('READY=1\nSTATUS=running'), signal);
    log.info('stopped');
  } finally {
    notify('STOPPING=1');
    database.close();
  }
}

async function session(
  deps: DaemonPorts & {
    readonly log: Log;
    readonly journal: CommandJournal;
    readonly kubernetes: ReturnType<typeof kubernetesClient>;
    readonly state: SessionState;
  },
  config: Config,
  agentId: string,
  paths: DaemonPaths,
): Promise<Service> {
  const { clock, random, files, http, log, journal, kubernetes, state } = deps;
  const caFile = config.control_plane.ca_file;
  const client = restClient(
    { clock, http, token: () => readToken(files, paths) },
    {
      baseUrl: config.control_plane.url,
      version: BUILD.version,
      ca: caFile === undefined ? undefined : await files.readText(caFile),
    },
  );
  const clusterName = config.cluster.name;
  return restSession(
    {
      clock,
      random,
      log,
      client,
      state,
      inbox: journal,
      outbox: journal,
      registration: () => ({
        id: agentId,
        name: hostname(),
        cluster_name: clusterName,
        version: BUILD.version,
        labels: {
          ...config.agent.labels,
          hostname: hostname(),
          'agent.pipeops.io/version': BUILD.version,
        },
        status: 'registering',
        last_seen: clock.now().toISOString(),
        control_plane_url: '',
      }),
      heartbeat: () => ({
        agent_id: agentId,
        cluster_name: clusterName,
        status: 'connected',
        proxy_status: 'direct',
        timestamp: clock.now().toISOString(),
        metadata: { version: BUILD.version },
      }),
      clusterStatus: (signal) => readClusterStatus({ clock, client: kubernetes }, signal),
    },
    {
      agentId,
      heartbeatIntervalMs: durationMs(config.control_plane.heartbeat_interval),
      statusIntervalMs: durationMs(config.control_plane.status_interval),
      pollIntervalMs: durationMs(config.control_plane.poll_interval),
    },
  );
}

async function readToken(files: Files, paths: DaemonPaths): Promise<string | undefined> {
  const token = (await files.readText(paths.controlPlaneToken, TOKEN_LIMIT_BYTES))?.trim();
  return token === '' ? undefined : token;
}

/** Where no watchdog is set, the loop still runs: it finds a damaged journal. */
const WATCHDOG_INTERVAL_MS_DEFAULT = 10_000;

/** Half of what systemd waits (sd_watchdog_enabled(3)). */
function watchdogIntervalMs(env: DaemonPorts['env']): number {
  const waitMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000;
  return waitMs > 0 ? waitMs / 2 : WATCHDOG_INTERVAL_MS_DEFAULT;
}
