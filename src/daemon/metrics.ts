import type { CommandExecutor } from '../commands/engine/executor.ts';
import type { SessionState } from '../control-plane/session/state.ts';
import type { Clock, ProcessUsage } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import type { CertificateEnd } from '../health/facts.ts';
import type { Health } from '../health/tracker.ts';
import type { LeaseStanding } from '../kubernetes/lease/election.ts';
import type { RefusalCounts } from '../policy/counting.ts';
import type { Turns } from '../proxy/turns.ts';
import type { CommandJournal } from '../store/journal/commands.ts';
import type { MetricValues, Samples } from '../telemetry/metrics/exposition.ts';
import type { WebSocketTraffic } from '../telemetry/websocket-traffic.ts';
import type { TunnelCounters } from '../tunnel/counters.ts';

export interface MetricsDeps {
  readonly clock: Clock;
  readonly journal: CommandJournal;
  readonly executor: CommandExecutor;
  readonly state: SessionState;
  readonly health: Health;
  readonly certificates: () => readonly CertificateEnd[];
  readonly refusals: () => RefusalCounts;
  readonly usage: () => ProcessUsage;
  /** On a server: which one has the session. */
  readonly lease: (() => LeaseStanding) | undefined;
  readonly traffic: WebSocketTraffic;
  /** Seconds, by kind. */
  readonly watchLags: () => Readonly<Record<string, number>>;
  /** Absent on a worker. */
  readonly dataPlane: { readonly turns: Turns; readonly tunnels: TunnelCounters } | undefined;
}

export interface MetricsFacts {
  readonly agentId: string;
  readonly role: string;
  readonly uptimeSeconds: number;
}

/** What the parts know when somebody asks for /metrics; no part reports to it. */
export function daemonMetrics(deps: MetricsDeps, facts: MetricsFacts): MetricValues {
  const { agentId: agent_id, role } = facts;
  return {
    pipeops_agent_info: [[{ version: BUILD.version, agent_id, role }, 1]],
    pipeops_agent_uptime_seconds: facts.uptimeSeconds,
    ...processMetrics(deps.usage()),
    ...healthMetrics(deps),
    pipeops_agent_certificate_end_timestamp_seconds: deps
      .certificates()
      .map(({ of, endsAt }) => [{ certificate: of }, endsAt.getTime() / 1_000]),
    ...sessionMetrics(deps),
    ...commandMetrics(deps),
    pipeops_agent_policy_refusals_total: by('kind', deps.refusals()),
    ...(deps.dataPlane === undefined ? {} : serverMetrics(deps, deps.dataPlane)),
  };
}

function processMetrics(usage: ProcessUsage): MetricValues {
  return {
    process_start_time_seconds: usage.startedAtMs / 1_000,
    process_cpu_seconds_total: usage.cpuMs / 1_000,
    process_resident_memory_bytes: usage.residentBytes,
    process_open_fds: usage.openFiles,
    pipeops_agent_private_memory_bytes: usage.privateBytes,
    pipeops_agent_heap_bytes: usage.heapBytes,
    pipeops_agent_gc_cycles_total: usage.collections,
  };
}

/** As the newest look has found it, which is at most 5 s old. Absent until there was one. */
function healthMetrics({ health }: MetricsDeps): MetricValues {
  const state = health.last();
  if (state === undefined) {
    return {};
  }
  const byWarnable = (count: (id: string) => number): Samples =>
    health.warnables.map((id) => [{ warnable: id }, count(id)]);
  return {
    pipeops_agent_ready: state.ready ? 1 : 0,
    pipeops_agent_problems: byWarnable(
      (id) => state.problems.filter(({ warnable }) => warnable === id).length,
    ),
    pipeops_agent_problems_total: byWarnable(health.times),
  };
}

function sessionMetrics({ clock, state, lease }: MetricsDeps): MetricValues {
  const { phase, transport } = state.snapshot();
  const standing = lease?.();
  const { established, failures, changes } = state.counts();
  const downSince = state.downSinceMs();
  const downMs = downSince === undefined ? 0 : clock.monotonic() - downSince;
  const carries = (name: string) => (transport === name ? 1 : 0);
  return {
    pipeops_agent_session_connected: phase === 'connected' ? 1 : 0,
    ...(standing === undefined ? {} : { pipeops_agent_session_held: standing.isHeld ? 1 : 0 }),
    pipeops_agent_session_transport: by('transport', {
      websocket: carries('websocket'),
      gateway: carries('gateway'),
      rest: carries('rest'),
    }),
    pipeops_agent_session_down_seconds: Math.round(downMs / 1_000),
    pipeops_agent_sessions_total: established,
    pipeops_agent_session_failures_total: failures,
    pipeops_agent_connection_state_changes_total: by('state', changes),
  };
}

function commandMetrics({ clock, journal, executor }: MetricsDeps): MetricValues {
  const { p50Ms, p99Ms, maxMs } = journal.commitTimes();
  const now = clock.now().getTime();
  const seconds = Object.entries(journal.oldest()).map(([state, since]) => {
    // By the wall clock, which may have been set back meanwhile.
    const age = since === undefined ? 0 : Math.max(0, now - since.getTime()) / 1_000;
    return [{ state }, age] as const;
  });
  return {
    pipeops_agent_commands_open: by('state', { ...journal.counts() }),
    pipeops_agent_commands_oldest_seconds: seconds,
    pipeops_agent_commands_total: by('outcome', { ...executor.counts() }),
    pipeops_agent_journal_commit_milliseconds: by('quantile', {
      '0.5': p50Ms,
      '0.99': p99Ms,
      '1': maxMs,
    }),
  };
}

function serverMetrics(
  { traffic, watchLags }: MetricsDeps,
  { turns, tunnels }: NonNullable<MetricsDeps['dataPlane']>,
): MetricValues {
  const { active, accepted, refused, dialErrors, copyErrors, bytesIn, bytesOut } = tunnels;
  return {
    pipeops_agent_websocket_active_connections: traffic.open,
    pipeops_agent_websocket_reconnections_total: Math.max(0, traffic.opened - 1),
    pipeops_agent_websocket_frames_sent_total: traffic.framesSent,
    pipeops_agent_websocket_frames_received_total: traffic.framesReceived,
    pipeops_agent_websocket_bytes_sent_total: traffic.bytesSent,
    pipeops_agent_websocket_bytes_received_total: traffic.bytesReceived,
    pipeops_agent_watch_lag_seconds: by('kind', watchLags()),
    pipeops_agent_proxy_requests: by('state', { ...turns.counts() }),
    pipeops_agent_tunnel_streams: active,
    pipeops_agent_tunnel_streams_total: by('outcome', { accepted, refused }),
    pipeops_agent_tunnel_errors_total: by('kind', { dial: dialErrors, copy: copyErrors }),
    pipeops_agent_tunnel_bytes_total: by('direction', { in: bytesIn, out: bytesOut }),
  };
}

function by(label: string, values: Readonly<Record<string, number>>): Samples {
  return Object.entries(values).map(([key, value]) => [{ [label]: key }, value]);
}
