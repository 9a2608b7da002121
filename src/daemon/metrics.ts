import type { CommandExecutor } from '../commands/engine/executor.ts';
import type { SessionState } from '../control-plane/session/state.ts';
import type { Clock } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import type { CertificateEnd } from '../health/facts.ts';
import type { Health } from '../health/tracker.ts';
import type { LeaseStanding } from '../kubernetes/lease/election.ts';
import type { RefusalCounts } from '../policy/counting.ts';
import type { Turns } from '../proxy/turns.ts';
import type { Metric } from '../server/metrics.ts';
import type { CommandJournal } from '../store/journal/commands.ts';
import type { TunnelCounters } from '../tunnel/counters.ts';

export interface MetricsDeps {
  readonly clock: Clock;
  readonly journal: CommandJournal;
  readonly executor: CommandExecutor;
  readonly state: SessionState;
  readonly health: Health;
  readonly certificates: () => readonly CertificateEnd[];
  readonly refusals: () => RefusalCounts;
  /** On a server: which one has the session. */
  readonly lease: (() => LeaseStanding) | undefined;
  /** Absent on a worker. */
  readonly dataPlane: { readonly turns: Turns; readonly tunnels: TunnelCounters } | undefined;
}

export interface MetricsFacts {
  readonly agentId: string;
  readonly role: string;
  readonly uptimeSeconds: number;
}

/** What /metrics shows; docs/METRICS.md lists it. No label has a value that outsiders choose. */
export function daemonMetrics(deps: MetricsDeps, facts: MetricsFacts): readonly Metric[] {
  const { agentId: agent_id, role } = facts;
  return [
    byLabels('gauge', 'pipeops_agent_info', 'Always 1; the labels say which agent this is.', [
      [{ version: BUILD.version, agent_id, role }, 1],
    ]),
    gauge('pipeops_agent_uptime_seconds', 'Time since the start.', facts.uptimeSeconds),
    gauge('process_resident_memory_bytes', 'Memory in use.', process.memoryUsage.rss()),
    ...healthMetrics(deps),
    ...certificateMetrics(deps),
    ...sessionMetrics(deps),
    ...commandMetrics(deps),
    byLabel(
      'counter',
      'pipeops_agent_policy_refusals_total',
      'What the policy of this machine refused, by what was asked for.',
      'kind',
      deps.refusals(),
    ),
    ...(deps.dataPlane === undefined ? [] : dataPlaneMetrics(deps.dataPlane)),
  ];
}

/** As the newest look has found it, which is at most 5 s old. Absent until there was one. */
function healthMetrics({ health }: MetricsDeps): readonly Metric[] {
  const state = health.last();
  if (state === undefined) {
    return [];
  }
  const byWarnable = (count: (id: string) => number) =>
    Object.fromEntries(health.warnables.map((id) => [id, count(id)]));
  return [
    gauge('pipeops_agent_ready', '1 while the agent is ready.', state.ready ? 1 : 0),
    byLabel(
      'gauge',
      'pipeops_agent_problems',
      'Problems that are shown now, by what is wrong.',
      'warnable',
      byWarnable((id) => state.problems.filter(({ warnable }) => warnable === id).length),
    ),
    byLabel(
      'counter',
      'pipeops_agent_problems_total',
      'Problems since the start, by what was wrong.',
      'warnable',
      byWarnable(health.times),
    ),
  ];
}

/** Without a sample until they were looked at. */
function certificateMetrics({ certificates }: MetricsDeps): readonly Metric[] {
  const ends = certificates().map(({ of, endsAt }) => [of, endsAt.getTime() / 1_000] as const);
  return [
    byLabel(
      'gauge',
      'pipeops_agent_certificate_end_timestamp_seconds',
      'When the certificates of k3s on this machine end, by who shows it.',
      'certificate',
      Object.fromEntries(ends),
    ),
  ];
}

function sessionMetrics({ clock, state, lease: heldLease }: MetricsDeps): readonly Metric[] {
  const { phase, transport } = state.snapshot();
  const lease = heldLease?.();
  const { established, failures } = state.counts();
  const downSince = state.downSinceMs();
  const downMs = downSince === undefined ? 0 : clock.monotonic() - downSince;
  const carries = (name: string) => (transport === name ? 1 : 0);
  return [
    gauge(
      'pipeops_agent_session_connected',
      '1 while there is a session with the control plane.',
      phase === 'connected' ? 1 : 0,
    ),
    ...(lease === undefined
      ? []
      : [
          gauge(
            'pipeops_agent_session_held',
            '1 on the server that has the session of the cluster, 0 on those that stand by.',
            lease.isHeld ? 1 : 0,
          ),
        ]),
    byLabel(
      'gauge',
      'pipeops_agent_session_transport',
      '1 for what carries the session.',
      'transport',
      { websocket: carries('websocket'), gateway: carries('gateway'), rest: carries('rest') },
    ),
    gauge(
      'pipeops_agent_session_down_seconds',
      'Time since when a session is wanted and missing; 0 while there is one.',
      Math.round(downMs / 1_000),
    ),
    counter('pipeops_agent_sessions_total', 'How often a session came up.', established),
    counter(
      'pipeops_agent_session_failures_total',
      'Tries to have a session, or to use it, that failed.',
      failures,
    ),
  ];
}

function commandMetrics({ journal, executor }: MetricsDeps): readonly Metric[] {
  const { p50Ms, p99Ms, maxMs } = journal.commitTimes();
  return [
    byLabel(
      'gauge',
      'pipeops_agent_commands_open',
      'Commands by state: waiting, running, and done without the result being taken.',
      'state',
      { ...journal.counts() },
    ),
    byLabel(
      'counter',
      'pipeops_agent_commands_total',
      'Commands that ended since the start, by outcome.',
      'outcome',
      { ...executor.counts() },
    ),
    byLabel(
      'gauge',
      'pipeops_agent_journal_commit_milliseconds',
      'Time that the newest 1000 commits of the journal held the event loop.',
      'quantile',
      { '0.5': p50Ms, '0.99': p99Ms, '1': maxMs },
    ),
  ];
}

function dataPlaneMetrics(dataPlane: NonNullable<MetricsDeps['dataPlane']>): readonly Metric[] {
  const { active, accepted, refused, dialErrors, copyErrors, bytesIn, bytesOut } =
    dataPlane.tunnels;
  return [
    byLabel(
      'gauge',
      'pipeops_agent_proxy_requests',
      'Proxied requests: short ones that run, those that wait for a turn, and open streams.',
      'state',
      { ...dataPlane.turns.counts() },
    ),
    gauge('pipeops_agent_tunnel_streams', 'Streams of the tunnel that are open.', active),
    byLabel(
      'counter',
      'pipeops_agent_tunnel_streams_total',
      'Streams of the tunnel since the start; a refused one may have been accepted first.',
      'outcome',
      { accepted, refused },
    ),
    byLabel(
      'counter',
      'pipeops_agent_tunnel_errors_total',
      'Targets that could not be dialled, and streams that ended before their data did.',
      'kind',
      { dial: dialErrors, copy: copyErrors },
    ),
    byLabel(
      'counter',
      'pipeops_agent_tunnel_bytes_total',
      'Bytes through the tunnel: in towards applications, out of them.',
      'direction',
      { in: bytesIn, out: bytesOut },
    ),
  ];
}

type Labels = Readonly<Record<string, string>>;

function byLabels(
  type: Metric['type'],
  name: string,
  help: string,
  samples: readonly (readonly [Labels, number])[],
): Metric {
  return { name, help, type, samples: samples.map(([labels, value]) => ({ labels, value })) };
}

function byLabel(
  type: Metric['type'],
  name: string,
  help: string,
  label: string,
  values: Readonly<Record<string, number>>,
): Metric {
  return byLabels(
    type,
    name,
    help,
    Object.entries(values).map(([key, value]) => [{ [label]: key }, value]),
  );
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', samples: [{ value }] };
}

function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: 'counter', samples: [{ value }] };
}
