import type { LoadedConfig } from '../config/load.ts';
import { ownEndpoint } from '../config/own-endpoint.ts';
import type { Config } from '../config/schema.ts';
import type { SessionState } from '../control-plane/session/state.ts';
import { K3S_UNITS } from '../core/k3s-places.ts';
import type { Service } from '../core/service.ts';
import { BUILD } from '../core/version.ts';
import type { ApiSources } from '../server/api/sources.ts';
import { httpServer } from '../server/doors.ts';
import { metricsDoor } from '../server/metrics-door.ts';
import { eventLoopLag } from '../telemetry/event-loop-lag.ts';
import { stallWatch } from '../telemetry/stalls.ts';
import { type CommonParts, commandTypes, commonParts, type DaemonPorts } from './common-parts.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import { type DaemonFacts, describeDaemon, describeSession, standbyText } from './describe.ts';
import { lastHealth } from './health-answers.ts';
import { type CommonHealthDeps, workerHealth } from './health-parts.ts';
import { idleMemory } from './idle-memory.ts';
import { keepRefusals } from './keep-refusals.ts';
import { machineLook } from './machine-look.ts';
import { profiling } from './profiling.ts';
import { streamParts } from './realtime/parts.ts';
import { serverParts, servicesOfServer } from './server-parts.ts';
import { supervise } from './supervise.ts';
import { unitStatus } from './unit-status.ts';
import { unknownSettings } from './unknown-settings.ts';
import { noteReadyOnce } from './was-ready.ts';
import { type WatchdogProbes, watchdog } from './watchdog.ts';

/** Builds the daemon and runs it until the signal aborts. Reads like a parts list. */
export async function runDaemon(
  ports: DaemonPorts,
  loaded: LoadedConfig,
  configPath: string,
  signal: AbortSignal,
): Promise<void> {
  const parts = await commonParts(ports, loaded.config, configPath);
  const { clock, log, notify, kept, journal, state, env } = parts;
  const { config } = loaded;
  const k3sRole = config.agent.role === 'node' ? 'agent' : 'server';
  const look = machineLook(parts, config, k3sRole, () => server?.health);
  const healthDeps: CommonHealthDeps = {
    ...parts,
    findings: look.findings,
    certificates: look.certificates,
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
  const streams = streamParts({
    ...parts,
    health: () => lastHealth(health),
    session: () => describeSession({ ...parts, lease }, facts),
    follow: server && parts.follow,
    rowChanges: () => ({ ...parts.status.rowChanges(), ...dataPlane?.lookCounts() }),
  });
  const sources = {
    realtime: streams.realtime,
    ...describeDaemon(
      { ...parts, health, view, dataPlane, lease, commandTypes, certificates: look.certificates },
      facts,
    ),
    dashboard: parts,
    ...(config.debug.profiling ? { profiling: profiling(parts) } : {}),
    auth: parts.auth,
    tokenFile: parts.paths.localToken,
    corsOrigins: config.http.cors_origins,
    ...(dataPlane && sourcesOfServer(parts, dataPlane, streams)),
  };
  const services = [
    httpServer({ ...parts, sources }, { port: config.http.port, socketPath: parts.paths.socket }),
    // Stops as one of the last: the others may need longer to stop than systemd waits for
    // `WATCHDOG=1`.
    watchdog({ clock, log, notify }, probesOf(state, journal), watchdogIntervalMs(env)),
    keepRefusals({ ...parts, kept: parts.keptRefusals }),
    ...streams.services,
    ...healthServices,
    ...look.services,
    unitStatus({
      clock,
      notify,
      health,
      standby: () => standbyText(lease?.()),
      noteReady: noteReadyOnce(parts, parts.paths.wasReady),
    }),
    idleMemory(parts),
    parts.day.service,
    ...seeingServices(parts, sources, config),
    ...(server === undefined ? [] : servicesOfServer(parts, server, config, signal)),
  ];
  signal.addEventListener('abort', () => notify('STOPPING=1'), { once: true });
  tellStart(parts, config.agent.role);
  try {
    const onReady = () => {
      kept.closeRest(); // Of ports that are not in the settings any more.
      notify('READY=1\nSTATUS=running');
    };
    await supervise({ clock, log }, services, onReady, signal);
    log.info('stopped');
  } finally {
    await journal.settled();
    parts.database.close();
  }
}

/** What the local API shows on a server alone. */
function sourcesOfServer(
  { status: { rows } }: CommonParts,
  { local, ways }: DataPlaneParts,
  { podLogs }: ReturnType<typeof streamParts>,
) {
  return { ...local, cluster: { rows }, podLogs, routes: ways };
}

/** What measures all the time, and where wished: stalls, traces, the door for scrapers from elsewhere. */
function seeingServices(
  parts: CommonParts,
  sources: ApiSources,
  { metrics: { listen, client_ca_file }, debug }: Config,
): readonly Service[] {
  const endpoint = ownEndpoint(listen ?? '');
  const watches = [
    eventLoopLag(parts),
    ...(debug.profiling ? [stallWatch(parts)] : []),
    ...(parts.tracing === undefined ? [] : [parts.tracing.service]),
  ];
  if (endpoint === undefined) {
    return watches;
  }
  const door = {
    ...endpoint,
    certificatePath: parts.paths.metricsCertificate,
    tokenPath: parts.paths.metricsToken,
    clientCaPath: client_ca_file,
  };
  return [...watches, metricsDoor({ ...parts, sources }, door)];
}

function tellStart(parts: CommonParts, role: string): void {
  const { version } = BUILD;
  if (parts.cloneOf !== null) {
    parts.log.warn('this machine is a copy of another one, and has a name of its own', {
      agent_id: parts.agentId(),
      copy_of: parts.cloneOf.id,
      since: parts.cloneOf.at,
    });
  }
  parts.log.info('starting', { version, agent_id: parts.agentId(), role });
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

/** Where no watchdog is set, the loop still runs, because it finds a damaged journal. */
const WATCHDOG_INTERVAL_MS_DEFAULT = 10_000;

/** Half of what systemd waits (sd_watchdog_enabled(3)). */
function watchdogIntervalMs(env: DaemonPorts['env']): number {
  const waitMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000;
  return waitMs > 0 ? waitMs / 2 : WATCHDOG_INTERVAL_MS_DEFAULT;
}
