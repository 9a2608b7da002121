import type { CommandExecutor } from '../commands/executor.ts';
import type { Config } from '../config/schema.ts';
import type { SessionState } from '../control-plane/session-state.ts';
import type { Clock } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import type { DetailedHealth } from '../protocol/local-api.ts';
import { type Metric, renderMetrics } from '../server/metrics.ts';
import type { ServerSources } from '../server/routes.ts';
import type { CommandJournal } from '../store/command-journal.ts';
import type { Readiness } from './readiness.ts';

interface DescribeDeps {
  readonly clock: Clock;
  readonly journal: CommandJournal;
  readonly executor: CommandExecutor;
  readonly state: SessionState;
  readonly readiness: Readiness;
}

export interface DaemonFacts {
  readonly config: Config;
  readonly agentId: string;
  /** Monotonic ms. */
  readonly startedAt: number;
}

/** What the daemon shows of itself. Reads the store and counters; nothing is told to it. */
export function describeDaemon(deps: DescribeDeps, facts: DaemonFacts): ServerSources {
  return {
    version: BUILD,
    ready: deps.readiness,
    detailed: (signal) => detailedHealth(deps, facts, signal),
    metrics: () => renderMetrics(metrics(deps, facts)),
  };
}

async function detailedHealth(
  deps: DescribeDeps,
  facts: DaemonFacts,
  signal: AbortSignal,
): Promise<DetailedHealth> {
  const { ready, reasons } = await deps.readiness(signal);
  const session = deps.state.snapshot();
  return {
    agent: {
      id: facts.agentId,
      version: BUILD.version,
      role: facts.config.agent.role,
      cluster_name: facts.config.cluster.name,
      pid: process.pid,
      uptime_seconds: uptimeSeconds(deps, facts),
      memory_rss_bytes: process.memoryUsage.rss(),
    },
    ready,
    reasons,
    session: {
      phase: session.phase,
      since: session.since,
      control_plane: facts.config.control_plane.url,
      transport: session.transport,
      transport_reason: session.transportReason,
      down_since: session.downSince,
      next_try: session.nextTry,
      last_contact: session.lastContact,
      last_error: session.lastError,
    },
    commands: { ...deps.journal.counts(), ...deps.executor.counts() },
    timestamp: deps.clock.now().toISOString(),
  };
}

function uptimeSeconds(deps: DescribeDeps, facts: DaemonFacts): number {
  return Math.round((deps.clock.monotonic() - facts.startedAt) / 1_000);
}

function metrics(deps: DescribeDeps, facts: DaemonFacts): readonly Metric[] {
  const session = deps.state.snapshot();
  const counts = deps.journal.counts();
  const commits = deps.journal.commitTimes();
  const ended = deps.executor.counts();
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: 'gauge',
    samples: [{ value }],
  });
  return [
    {
      name: 'pipeops_agent_info',
      help: 'Always 1; the labels say which agent this is.',
      type: 'gauge',
      samples: [
        {
          labels: {
            version: BUILD.version,
            agent_id: facts.agentId,
            role: facts.config.agent.role,
          },
          value: 1,
        },
      ],
    },
    gauge('pipeops_agent_uptime_seconds', 'Time since the start.', uptimeSeconds(deps, facts)),
    gauge('process_resident_memory_bytes', 'Memory in use.', process.memoryUsage.rss()),
    gauge(
      'pipeops_agent_session_connected',
      '1 while the control plane accepts calls.',
      session.phase === 'connected' ? 1 : 0,
    ),
    {
      name: 'pipeops_agent_commands_open',
      help: 'Commands by state: waiting, running, and done without the result being taken.',
      type: 'gauge',
      samples: Object.entries(counts).map(([state, value]) => ({ labels: { state }, value })),
    },
    {
      name: 'pipeops_agent_journal_commit_milliseconds',
      help: 'Time that the newest 1000 commits of the journal held the event loop.',
      type: 'gauge',
      samples: [
        { labels: { quantile: '0.5' }, value: commits.p50Ms },
        { labels: { quantile: '0.99' }, value: commits.p99Ms },
        { labels: { quantile: '1' }, value: commits.maxMs },
      ],
    },
    {
      name: 'pipeops_agent_commands_total',
      help: 'Commands that ended since the start, by outcome.',
      type: 'counter',
      samples: Object.entries(ended).map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
  ];
}
