import { formatDuration } from '../../core/text/duration.ts';
import { visibleLine } from '../../core/text/visible.ts';
import type { K3sState } from '../../host/k3s/state.ts';
import type { ClusterNodes, DetailedHealth, Reason } from '../../protocol/local-api.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

const MIB = 1024 * 1024;
/** Ready nodes that are named; the others are counted. */
const READY_NAMED_MAX = 10;

type Row = readonly [string, string];

export const statusSubcommand = defineSubcommand({
  name: 'status',
  description: 'Shows how the agent, its session, the cluster and its commands are.',
  example: 'sudo pipeops-agent status',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { askDaemon } = await import('../../machine/ask-daemon.ts');
    const { renderTable } = await import('../terminal/render.ts');
    const health = await askDaemon(context);
    const k3s = await readK3s(context);
    context.io.stdout(
      flags.json
        ? `${JSON.stringify({ ...health, ...(k3s === undefined ? {} : { k3s }) }, null, 2)}\n`
        : renderTable(rows(health, k3s), context.io.columns) +
            renderReasons(health.reasons) +
            renderReasons(health.warnings ?? []),
    );
    return 0;
  },
});

/**
 * Asked by this program, because the daemon may not ask systemd. Undefined where systemd cannot be
 * asked.
 */
async function readK3s(context: CliContext): Promise<K3sState | undefined> {
  const { AgentError } = await import('../../core/errors.ts');
  const { k3sState } = await import('../../host/k3s/state.ts');
  try {
    return await k3sState(context);
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return undefined; // Only a detail of the screen; the reasons show what k3s does, too.
    }
    throw thrown;
  }
}

function rows(health: DetailedHealth, k3s: K3sState | undefined): readonly Row[] {
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
    ...serverRows(health.server),
    // A worker has neither session nor commands: its server speaks for the cluster.
    ...(agent.role === 'node' ? [] : sessionRows(health)),
  ];
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
    : [['k3s', `${k3s.version ?? 'of an unknown version'}, ${k3s.unit} ${k3s.state}`]];
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

function renderReasons(reasons: readonly Reason[]): string {
  return reasons
    .map(({ code, message, hint }) => {
      const advice = hint === undefined ? '' : `  hint: ${visibleLine(hint)}\n`;
      return `\n${visibleLine(message)} [${code}]\n${advice}`;
    })
    .join('');
}

/** ` over rest (why not the WebSocket)`. */
function carriedBy(session: DetailedHealth['session']): string {
  if (session.transport === null) {
    return '';
  }
  const why = session.transport_reason === null ? '' : ` (${session.transport_reason})`;
  return ` over ${session.transport}${why}`;
}
