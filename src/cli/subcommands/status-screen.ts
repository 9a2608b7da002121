/** What `status` shows. */
import { formatDuration } from '../../core/text/duration.ts';
import { visibleLine } from '../../core/text/visible.ts';
import { holdText } from '../../host/agent/upgrade/hold.ts';
import type { K3sState } from '../../host/k3s/state.ts';
import type { UpgradeHold } from '../../protocol/files/upgrade-hold.ts';
import type {
  ClusterNodes,
  DetailedHealth,
  HealthAnswer,
  Reason,
} from '../../protocol/local-api.ts';
import type { WorkloadSummary } from '../../protocol/local-cluster.ts';
import type { TunnelStreamsPage } from '../../protocol/local-routes.ts';
import { renderTable } from '../terminal/render.ts';

const MIB = 1024 * 1024;
/** Ready nodes that are named; the others are counted. */
const READY_NAMED_MAX = 10;
/** Where most streams of tunnels lead. */
const TARGETS_NAMED_MAX = 5;
/** Troubles that are over are shown for this long, and no more than so many. */
const LATELY_MS = 24 * 3_600_000;
const LATELY_MAX = 3;

type Row = readonly [string, string];

/** What one look has found out; undefined is what nobody could tell. */
export interface Seen {
  readonly detailed: DetailedHealth;
  readonly health: HealthAnswer | undefined;
  readonly workloads: WorkloadSummary | undefined;
  readonly tunnels: TunnelStreamsPage | undefined;
  readonly k3s: K3sState | undefined;
  /** Whether a person holds the version of this machine; only root sees it. */
  readonly hold: UpgradeHold | undefined;
}

export function statusScreen(
  { detailed, health, workloads, tunnels, k3s, hold }: Seen,
  { now, columns }: { readonly now: Date; readonly columns: number | undefined },
): string {
  const table = rows(detailed, k3s, [
    ...holdRows(hold, now),
    ...workloadRows(workloads),
    ...tunnelRows(tunnels),
    ...(health === undefined ? [] : latelyRows(health, now)),
  ]);
  const problems: readonly Told[] = health?.problems ?? [
    ...detailed.reasons,
    ...(detailed.warnings ?? []),
  ];
  return renderTable(table, columns) + problems.map((each) => renderProblem(each, now)).join('');
}

/** A daemon of an older version does not tell since when. */
type Told = Reason & Partial<Pick<HealthAnswer['problems'][number], 'since' | 'times'>>;

function rows(
  health: DetailedHealth,
  k3s: K3sState | undefined,
  more: readonly Row[],
): readonly Row[] {
  const { agent } = health;
  const memory = `${Math.round(agent.memory_rss_bytes / MIB)} MiB`;
  const cluster: readonly Row[] =
    agent.cluster_name === null ? [] : [['Cluster', agent.cluster_name]];
  return [
    ['Agent', `${agent.id}, version ${agent.version}, role ${agent.role}`],
    ...copyRows(agent),
    ['Running', `for ${formatDuration(agent.uptime_seconds * 1_000)}, ${memory}, pid ${agent.pid}`],
    ...cluster,
    ['Ready', readyText(health)],
    ...k3sRows(k3s),
    ...nodeRows(health.nodes),
    ...desiredRows(health.desired),
    ...serverRows(health.server),
    // A worker has neither session nor commands: its server speaks for the cluster.
    ...(agent.role === 'node' ? [] : sessionRows(health)),
    ...more,
  ];
}

function holdRows(hold: UpgradeHold | undefined, now: Date): readonly Row[] {
  const text = hold && holdText(hold, now);
  return text === undefined ? [] : [['Upgrades', text]];
}

/** Both machines work; whoever looks at the control plane sees two. */
function copyRows({ copy_of: other }: DetailedHealth['agent']): readonly Row[] {
  return other === undefined
    ? []
    : [['Copy', `of the machine of ${other}; this one took a name of its own`]];
}

function readyText({ ready, warnings = [] }: DetailedHealth): string {
  if (!ready) {
    return 'no';
  }
  return warnings.length === 0 ? 'yes' : 'yes, with warnings: see below';
}

function k3sRows(k3s: K3sState | undefined): readonly Row[] {
  return k3s === undefined
    ? []
    : [
        ['k3s', `${k3s.version ?? 'of an unknown version'}, ${k3s.unit} ${k3s.state}`],
        ...certificateRows(k3s),
      ];
}

/** Only root may look at them. */
function certificateRows({ certificates }: K3sState): readonly Row[] {
  const day = (iso: string) => iso.slice(0, 10);
  return certificates === null
    ? []
    : [
        [
          'Certificates',
          `of k3s until ${day(certificates.end)}, its authority until ${day(certificates.authority)}`,
        ],
      ];
}

/** `2 of 3 ready: server-1 (this machine), worker-1; not ready: worker-2`. */
function nodeRows(nodes: ClusterNodes | null | undefined): readonly Row[] {
  if (nodes === undefined) {
    return [];
  }
  if (nodes === null) {
    return [['Nodes', 'not known']];
  }
  const named = (ready: boolean, count: number) => {
    const all = nodes.list.filter((node) => node.ready === ready);
    const shown = ready ? all.slice(0, READY_NAMED_MAX) : all;
    const names = shown.map(({ name, self }) => (self ? `${name} (this machine)` : name));
    const others = count - shown.length;
    return [...names, ...(others > 0 ? [`and ${others} more`] : [])].join(', ');
  };
  const { total, ready } = nodes;
  const groups = [
    ...(ready === 0 ? [] : [`ready: ${named(true, ready)}`]),
    ...(ready === total ? [] : [`not ready: ${named(false, total - ready)}`]),
  ];
  return [['Nodes', [`${ready} of ${total}`, groups.join('; ')].join(' ').trim()]];
}

function desiredRows(desired: DetailedHealth['desired']): readonly Row[] {
  if (desired === undefined) {
    return [];
  }
  const { files, objects, problems, looked_at: lookedAt } = desired;
  const trouble = problems === 0 ? '' : `, ${problems} problems`;
  return [
    ['Desired state', `${objects} objects of ${files} files${trouble}; looked at ${lookedAt}`],
  ];
}

function serverRows(server: DetailedHealth['server']): readonly Row[] {
  if (server === undefined) {
    return [];
  }
  if (server === null) {
    return [['Server', 'not known; sudo pipeops-agent join tells it to the agent']];
  }
  const how = server.trouble === null ? 'it answers' : `no answer: ${server.trouble}`;
  return [['Server', `${server.url}, ${how}`]];
}

function sessionRows({ session, commands }: DetailedHealth): readonly Row[] {
  return [
    [
      'Session',
      session.phase === 'standby'
        ? `stands by since ${session.since}; ${session.holder ?? 'no server'} has it`
        : `${session.phase} since ${session.since}${carriedBy(session)}`,
    ],
    ...(session.phase === 'standalone' || session.phase === 'standby'
      ? []
      : ([
          ['Control plane', session.control_plane ?? 'none'],
          ['Last contact', session.last_contact ?? 'never'],
        ] as const)),
    [
      'Commands',
      `${commands.accepted} waiting, ${commands.running} running, ` +
        `${commands.undelivered} results to send, ` +
        `${commands.succeeded} succeeded and ${commands.failed} failed since the start`,
    ],
  ];
}

/** `3 of 4 Deployments ready; 9 pods: 1 Pending, 8 Running; not ready: shop/web`. */
function workloadRows(workloads: WorkloadSummary | undefined): readonly Row[] {
  if (workloads === undefined) {
    return [];
  }
  const { deployments, pods } = workloads;
  const phases = Object.entries(pods.by_phase).map(([phase, count]) => `${count} ${phase}`);
  const others = deployments.total - deployments.ready - deployments.not_ready.length;
  const names = [...deployments.not_ready, ...(others > 0 ? [`and ${others} more`] : [])];
  return [
    [
      'Workloads',
      [
        `${deployments.ready} of ${deployments.total} Deployments ready`,
        `${pods.total} pods${phases.length === 0 ? '' : `: ${phases.join(', ')}`}`,
        ...(names.length === 0 ? [] : [`not ready: ${names.join(', ')}`]),
      ].join('; '),
    ],
  ];
}

/** `3 streams are open: shop/web:80 (2), shop/db:5432`. */
function tunnelRows(tunnels: TunnelStreamsPage | undefined): readonly Row[] {
  if (tunnels === undefined || tunnels.total === 0) {
    return [];
  }
  const counts = new Map<string, number>();
  for (const { namespace, service, port } of tunnels.items) {
    const target = `${namespace}/${service}:${port}`;
    counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  const targets = [...counts].sort(([, one], [, other]) => other - one);
  const named = targets
    .slice(0, TARGETS_NAMED_MAX)
    .map(([target, count]) => (count === 1 ? target : `${target} (${count})`));
  const more = targets.length > named.length || tunnels.total > tunnels.items.length ? ', …' : '';
  const what = tunnels.total === 1 ? '1 stream is open' : `${tunnels.total} streams are open`;
  return [['Tunnels', `${what}: ${named.join(', ')}${more}`]];
}

/** What was wrong of late and is over: `session for 2m until 2026-…`. */
function latelyRows({ history }: HealthAnswer, now: Date): readonly Row[] {
  const over = history.flatMap(({ warnable, about, since, until }) => {
    const isLately = until !== null && now.getTime() - Date.parse(until) < LATELY_MS;
    const name = about === null ? warnable : `${warnable} ${about}`;
    return isLately ? [`${name} for ${lasting(since, new Date(until))} until ${until}`] : [];
  });
  return over.length === 0 ? [] : [['Lately wrong', over.slice(0, LATELY_MAX).join('; ')]];
}

function renderProblem({ code, message, hint, since, times = 1 }: Told, now: Date): string {
  const lines = [`${visibleLine(message)} [${code}]`];
  if (since !== undefined) {
    const often = times > 1 ? `, ${times} times since the start of the agent` : '';
    lines.push(`  for ${lasting(since, now)}${often}`);
  }
  if (hint !== undefined) {
    lines.push(`  hint: ${visibleLine(hint)}`);
  }
  return `\n${lines.join('\n')}\n`;
}

function lasting(from: string, to: Date): string {
  return formatDuration(Math.max(0, to.getTime() - Date.parse(from)));
}

/** ` over rest (why not the WebSocket)`. */
function carriedBy(session: DetailedHealth['session']): string {
  if (session.transport === null) {
    return '';
  }
  const why = session.transport_reason === null ? '' : ` (${session.transport_reason})`;
  return ` over ${session.transport}${why}`;
}
