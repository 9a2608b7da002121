import { formatDuration } from '../core/duration.ts';
import type { DetailedHealth } from '../protocol/local-api.ts';
import { JSON_FLAG } from './common-flags.ts';
import type { SubcommandDefinition } from './define-subcommand.ts';

const MIB = 1024 * 1024;

export const statusSubcommand: SubcommandDefinition = {
  name: 'status',
  description: 'Shows how the agent, its session, the cluster and its commands are.',
  example: 'sudo pipeops-agent status',
  flags: { json: JSON_FLAG },
  positionals: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { askDaemon } = await import('./ask-daemon.ts');
    const { renderTable } = await import('./render.ts');
    const health = await askDaemon(context);
    context.io.stdout(
      flags['json'] === true
        ? `${JSON.stringify(health, null, 2)}\n`
        : renderTable(rows(health)) + renderReasons(health),
    );
    return 0;
  },
};

function rows(health: DetailedHealth): readonly (readonly [string, string])[] {
  const { agent, session, commands } = health;
  const memory = `${Math.round(agent.memory_rss_bytes / MIB)} MiB`;
  return [
    ['Agent', `${agent.id}, version ${agent.version}, role ${agent.role}`],
    ['Running', `for ${formatDuration(agent.uptime_seconds * 1_000)}, ${memory}, pid ${agent.pid}`],
    ['Cluster', agent.cluster_name],
    ['Ready', health.ready ? 'yes' : 'no'],
    ['Session', `${session.phase} since ${session.since}${carriedBy(session)}`],
    ...(session.phase === 'standalone'
      ? []
      : ([
          ['Control plane', session.control_plane],
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

function renderReasons(health: DetailedHealth): string {
  return health.reasons
    .map(({ code, message, hint }) => {
      const advice = hint === undefined ? '' : `  hint: ${hint}\n`;
      return `\n${message} [${code}]\n${advice}`;
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
