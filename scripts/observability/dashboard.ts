/** docs/observability/dashboard.json: one page for Grafana. */

interface Panel {
  readonly title: string;
  /** As Grafana names it. */
  readonly unit: 's' | 'bytes' | 'percentunit' | 'short' | 'ops' | 'Bps';
  readonly type?: 'stat' | 'timeseries';
  /** Legend and query. */
  readonly queries: Readonly<Record<string, string>>;
}

const OF = 'job="pipeops-agent",instance=~"$instance"';
const quantile = (share: number, metric: string, labels: string) =>
  `histogram_quantile(${share}, sum by (le, ${labels}) (rate(${metric}_bucket{${OF}}[$__rate_interval])))`;
const rate = (metric: string, labels: string) =>
  `sum by (${labels}) (rate(${metric}{${OF}}[$__rate_interval]))`;

const PANELS: readonly Panel[] = [
  {
    ...{ title: 'Ready', unit: 'short', type: 'stat' },
    queries: { '{{instance}}': `pipeops_agent_ready{${OF}}` },
  },
  {
    ...{ title: 'Without a session', unit: 's', type: 'stat' },
    queries: { '{{instance}}': `pipeops_agent_session_down_seconds{${OF}}` },
  },
  {
    ...{ title: 'Session, broken share of the last 3 days (promised: 0.1 %)', unit: 'percentunit' },
    queries: { '{{instance}}': `pipeops_agent:session_down:ratio_3d{${OF}}` },
  },
  {
    ...{ title: 'Problems', unit: 'short' },
    queries: { '{{instance}} {{warnable}}': `pipeops_agent_problems{${OF}} > 0` },
  },
  {
    ...{ title: 'Round trip of the session', unit: 's' },
    queries: {
      'median {{instance}}': quantile(0.5, 'pipeops_agent_session_round_trip_seconds', 'instance'),
      '99 % {{instance}}': quantile(0.99, 'pipeops_agent_session_round_trip_seconds', 'instance'),
    },
  },
  {
    ...{ title: 'Sessions begun and failed tries', unit: 'short' },
    queries: {
      'begun {{instance}}': `increase(pipeops_agent_sessions_total{${OF}}[1h])`,
      'failed {{instance}}': `increase(pipeops_agent_session_failures_total{${OF}}[1h])`,
    },
  },
  {
    ...{ title: 'Commands, 95 %', unit: 's' },
    queries: { '{{type}}': quantile(0.95, 'pipeops_agent_command_duration_seconds', 'type') },
  },
  {
    ...{ title: 'Commands by outcome', unit: 'ops' },
    queries: {
      '{{type}} {{outcome}}': rate('pipeops_agent_command_duration_seconds_count', 'type, outcome'),
    },
  },
  {
    ...{ title: 'Commands: how many, and the oldest', unit: 'short' },
    queries: {
      '{{state}}': `sum by (state) (pipeops_agent_commands_open{${OF}})`,
      'oldest {{state}}, s': `max by (state) (pipeops_agent_commands_oldest_seconds{${OF}})`,
    },
  },
  {
    ...{ title: 'Proxied requests', unit: 'ops' },
    queries: {
      '{{door}} {{code}}': rate('pipeops_agent_proxy_request_duration_seconds_count', 'door, code'),
    },
  },
  {
    ...{ title: 'Proxied requests, 99 %', unit: 's' },
    queries: { '{{door}}': quantile(0.99, 'pipeops_agent_proxy_request_duration_seconds', 'door') },
  },
  {
    ...{ title: 'Proxied requests: running, waiting, streams', unit: 'short' },
    queries: { '{{state}}': `sum by (state) (pipeops_agent_proxy_requests{${OF}})` },
  },
  {
    ...{ title: 'Kubernetes API, 99 %', unit: 's' },
    queries: {
      '{{verb}}': quantile(0.99, 'pipeops_agent_kubernetes_request_duration_seconds', 'verb'),
    },
  },
  {
    ...{ title: 'Kubernetes API, requests', unit: 'ops' },
    queries: {
      '{{verb}} {{code}}': rate(
        'pipeops_agent_kubernetes_request_duration_seconds_count',
        'verb, code',
      ),
    },
  },
  {
    ...{ title: 'Lag of what is followed', unit: 's' },
    queries: { '{{kind}}': `max by (kind) (pipeops_agent_watch_lag_seconds{${OF}})` },
  },
  {
    ...{ title: 'Tunnel', unit: 'Bps' },
    queries: { '{{direction}}': rate('pipeops_agent_tunnel_bytes_total', 'direction') },
  },
  {
    ...{ title: 'Tunnel, streams', unit: 'short' },
    queries: {
      'open {{instance}}': `pipeops_agent_tunnel_streams{${OF}}`,
      'refused/s': rate('pipeops_agent_tunnel_streams_total', 'outcome'),
    },
  },
  {
    ...{ title: 'Traffic of the session', unit: 'Bps' },
    queries: {
      'sent {{instance}}': rate('pipeops_agent_websocket_bytes_sent_total', 'instance'),
      'received {{instance}}': rate('pipeops_agent_websocket_bytes_received_total', 'instance'),
    },
  },
  {
    ...{ title: 'Refused by the policy', unit: 'ops' },
    queries: { '{{kind}}': rate('pipeops_agent_policy_refusals_total', 'kind') },
  },
  {
    ...{ title: 'Memory', unit: 'bytes' },
    queries: {
      'resident {{instance}}': `process_resident_memory_bytes{${OF}}`,
      'its own {{instance}}': `pipeops_agent_private_memory_bytes{${OF}}`,
      'heap {{instance}}': `pipeops_agent_heap_bytes{${OF}}`,
    },
  },
  {
    ...{ title: 'Processor', unit: 'percentunit' },
    queries: { '{{instance}}': rate('process_cpu_seconds_total', 'instance') },
  },
  {
    ...{ title: 'Lag of the event loop, 99 %', unit: 's' },
    queries: {
      '{{instance}}': quantile(0.99, 'pipeops_agent_event_loop_lag_seconds', 'instance'),
    },
  },
];

const COLUMNS = 3;
const PANEL = { w: 8, h: 8 };
const DATASOURCE = { type: 'prometheus', uid: `\${datasource}` };

export async function dashboardFile(): Promise<string> {
  return `${JSON.stringify(
    {
      ...{ title: 'PipeOps agents', uid: 'pipeops-agent', schemaVersion: 39, version: 1 },
      ...{ editable: true, refresh: '30s', time: { from: 'now-24h', to: 'now' } },
      templating: { list: [DATASOURCE_VARIABLE, INSTANCE_VARIABLE] },
      panels: PANELS.map(panelJson),
    },
    null,
    2,
  )}\n`;
}

const DATASOURCE_VARIABLE = { name: 'datasource', type: 'datasource', query: 'prometheus' };
const INSTANCE_VARIABLE = {
  ...{ name: 'instance', type: 'query', datasource: DATASOURCE, includeAll: true, multi: true },
  ...{ query: 'label_values(pipeops_agent_info, instance)', refresh: 2, allValue: '.+' },
};

function panelJson({ title, unit, type = 'timeseries', queries }: Panel, index: number) {
  const row = Math.floor(index / COLUMNS);
  return {
    ...{ id: index + 1, type, title, datasource: DATASOURCE },
    gridPos: { ...PANEL, x: (index % COLUMNS) * PANEL.w, y: row * PANEL.h },
    fieldConfig: { defaults: { unit }, overrides: [] },
    targets: Object.entries(queries).map(([legendFormat, expr], number) => ({
      ...{ refId: String.fromCharCode(65 + number), expr, legendFormat, exemplar: true },
    })),
  };
}
