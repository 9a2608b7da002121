/**
 * Every metric of the agent, in the order in which /metrics tells them. docs/METRICS.md is made from this table.
 * A name is a promise: dashboards and alerts of others use it. Where the meaning is the same, it is the name of
 * the agent in Go that came before this one.
 */
import { KINDS } from '../../core/kinds.ts';
import { WARNABLES } from '../../health/warnables/table.ts';
import type { MetricDefinition } from './definition.ts';

const WARNABLE_IDS = WARNABLES.map(({ id }) => id);
/** Of every handler in `commands/registry.ts`, which is loaded later: a test compares the two. */
const COMMAND_TYPES = [
  ...['deploy', 'update', 'scale', 'restart', 'rollback', 'delete', 'apply', 'get_resources'],
  ...['logs', 'exec', 'cordon', 'uncordon', 'drain', 'join_token', 'snapshot'],
  ...['upgrade_agent', 'support_bundle', 'rotate_token', 'upgrade_k3s'],
];
/** What is followed: `managed-ingress` and the like are views of these. */
const FOLLOWED = [...new Set(Object.values(KINDS).map(({ plural }) => plural))];
const PHASES = [
  ...['standalone', 'standby', 'registering'],
  ...['connected', 'refused', 'unreachable'],
];

const gauge = (help: string, labels: MetricDefinition['labels'] = {}) =>
  ({ type: 'gauge', help, labels }) as const;
const counter = (help: string, labels: MetricDefinition['labels'] = {}) =>
  ({ type: 'counter', help, labels }) as const;
const histogram = (
  help: string,
  buckets: readonly number[],
  labels: MetricDefinition['labels'] = {},
) => ({ type: 'histogram', help, labels, buckets }) as const;
const ofServers = <D extends MetricDefinition>(definition: D) =>
  ({ ...definition, serverOnly: true }) as const;

export const METRICS = {
  pipeops_agent_info: gauge('Always 1; the labels say which agent this is.', {
    version: 'own',
    agent_id: 'own',
    role: ['server', 'node'],
  }),
  pipeops_agent_uptime_seconds: gauge('Time since the start.'),
  process_start_time_seconds: gauge('When the process began, as Unix time.'),
  process_cpu_seconds_total: counter('Processor time of all threads.'),
  process_resident_memory_bytes: gauge('Memory in use, with what is shared with the page cache.'),
  process_open_fds: gauge('Open file descriptors.'),
  pipeops_agent_private_memory_bytes: gauge(
    'Memory that no other process and no file has: what is saved where it is less.',
  ),
  pipeops_agent_heap_bytes: gauge('Objects of the program, as of the last collection.'),
  pipeops_agent_gc_cycles_total: counter('Collections of garbage.'),
  pipeops_agent_event_loop_lag_seconds: histogram(
    'How late a timer of one second fires: how long everything else waits, too.',
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1, 5],
  ),
  pipeops_agent_ready: gauge('1 while the agent is ready, at most 5 s old.'),
  pipeops_agent_problems: gauge(
    'Problems that are shown now, by what is wrong: see TROUBLESHOOTING.md, "Health".',
    { warnable: WARNABLE_IDS },
  ),
  pipeops_agent_problems_total: counter('Problems that began since the start, by what was wrong.', {
    warnable: WARNABLE_IDS,
  }),
  pipeops_agent_certificate_end_timestamp_seconds: gauge(
    'When the certificates of k3s on this machine end, by who shows it.',
    { certificate: ['Kubernetes API', 'kubelet', 'cluster authority'] },
  ),
  pipeops_agent_session_connected: gauge('1 while there is a session with the control plane.'),
  pipeops_agent_session_held: ofServers(
    gauge('1 on the server that has the session of the cluster, 0 on those that stand by.'),
  ),
  pipeops_agent_session_transport: gauge('1 for what carries the session.', {
    transport: ['websocket', 'gateway', 'rest'],
  }),
  pipeops_agent_session_down_seconds: gauge(
    'Time since when a session is wanted and missing; 0 while there is one.',
  ),
  pipeops_agent_sessions_total: counter('How often a session came up.'),
  pipeops_agent_session_failures_total: counter(
    'Tries to have a session, or to use it, that failed.',
  ),
  pipeops_agent_connection_state_changes_total: counter(
    'How often the session went into a state.',
    { state: PHASES },
  ),
  pipeops_agent_session_round_trip_seconds: ofServers(
    histogram(
      'From a ping over the WebSocket to its pong.',
      [0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 15],
    ),
  ),
  pipeops_agent_websocket_active_connections: ofServers(
    gauge('WebSockets to the control plane and to gateways that are open.'),
  ),
  pipeops_agent_websocket_reconnections_total: ofServers(
    counter('WebSockets that were opened after the first one.'),
  ),
  pipeops_agent_websocket_frames_sent_total: ofServers(
    counter('Messages that were sent over them.'),
  ),
  pipeops_agent_websocket_frames_received_total: ofServers(
    counter('Messages that came over them.'),
  ),
  pipeops_agent_websocket_bytes_sent_total: ofServers(counter('Bytes of these messages.')),
  pipeops_agent_websocket_bytes_received_total: ofServers(counter('Bytes of these messages.')),
  pipeops_agent_commands_open: gauge(
    'Commands by state: waiting, running, and done without the result being taken.',
    { state: ['accepted', 'running', 'undelivered'] },
  ),
  pipeops_agent_commands_oldest_seconds: gauge(
    'How long the oldest command has been in a state; 0 where there is none.',
    { state: ['accepted', 'running', 'undelivered'] },
  ),
  pipeops_agent_commands_total: counter('Commands that ended since the start, by outcome.', {
    outcome: ['succeeded', 'failed'],
  }),
  pipeops_agent_command_duration_seconds: ofServers(
    histogram(
      'How long a command ran, by type and outcome; its exemplars name the command.',
      [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900],
      { type: COMMAND_TYPES, outcome: ['succeeded', 'failed', 'refused', 'cancelled'] },
    ),
  ),
  pipeops_agent_journal_commit_milliseconds: gauge(
    'Time that the newest 1000 commits of the journal held the event loop.',
    { quantile: ['0.5', '0.99', '1'] },
  ),
  pipeops_agent_policy_refusals_total: counter(
    'What the policy of this machine refused, by what was asked for.',
    { kind: ['command', 'access', 'object', 'request'] },
  ),
  pipeops_agent_kubernetes_request_duration_seconds: ofServers(
    histogram(
      'From a request of the agent to the head of the answer of the Kubernetes API.',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      {
        verb: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'],
        code: ['2xx', '3xx', '4xx', '5xx', 'none'],
      },
    ),
  ),
  pipeops_agent_watch_lag_seconds: ofServers(
    gauge('How long what is known of a kind of objects is not kept up; 0 while it is.', {
      kind: FOLLOWED,
    }),
  ),
  pipeops_agent_proxy_requests: ofServers(
    gauge('Proxied requests: short ones that run, those that wait for a turn, and open streams.', {
      state: ['running', 'waiting', 'streams'],
    }),
  ),
  pipeops_agent_proxy_request_duration_seconds: ofServers(
    histogram(
      'From a proxied request to the end of its answer, without streams; `none`: its caller went away.',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
      {
        door: ['loopback', 'socket', 'tls', 'control-plane'],
        code: ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'],
      },
    ),
  ),
  pipeops_agent_tunnel_streams: ofServers(gauge('Streams of the tunnel that are open.')),
  pipeops_agent_tunnel_streams_total: ofServers(
    counter('Streams of the tunnel since the start; a refused one may have been accepted first.', {
      outcome: ['accepted', 'refused'],
    }),
  ),
  pipeops_agent_tunnel_errors_total: ofServers(
    counter('Targets that could not be dialled, and streams that ended before their data did.', {
      kind: ['dial', 'copy'],
    }),
  ),
  pipeops_agent_tunnel_bytes_total: ofServers(
    counter('Bytes through the tunnel: in towards applications, out of them.', {
      direction: ['in', 'out'],
    }),
  ),
} as const satisfies Readonly<Record<string, MetricDefinition>>;

type Name = keyof typeof METRICS;
type OfType<T extends MetricDefinition['type']> = {
  [N in Name]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[Name];

export type HistogramName = OfType<'histogram'>;
export type ValueName = OfType<'counter' | 'gauge'>;
