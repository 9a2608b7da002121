import type { CommandProgress } from '../commands/engine/progress.ts';
import { settingValues } from '../config/describe.ts';
import type { Config } from '../config/schema.ts';
import type { LiveLogLevel } from '../core/log-levels.ts';
import type { Log, Runtime } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import { problemOf } from '../health/warnable.ts';
import type { LeaseStanding } from '../kubernetes/lease/election.ts';
import { effectivePolicy } from '../policy/effective.ts';
import type { LivePolicy } from '../policy/live.ts';
import type { Refusals } from '../policy/refusals.ts';
import type { DetailedHealth } from '../protocol/local-api.ts';
import type { SessionChange } from '../protocol/local-realtime.ts';
import type { ApiSources } from '../server/api/sources.ts';
import { DASHBOARD_PREFIX } from '../server/dashboard/answers.ts';
import type { SignIn } from '../server/dashboard/sign-in.ts';
import type { AgentIdentity } from '../store/identity.ts';
import { exposition } from '../telemetry/metrics/exposition.ts';
import type { Histograms } from '../telemetry/metrics/histograms.ts';
import {
  commandSource,
  connectivity,
  features,
  logLevelAnswer,
  runtimeAnswer,
} from './api-sources.ts';
import type { LiveAccess } from './control-plane-access.ts';
import { healthAnswer, readyAnswer, reasonsAndWarnings } from './health-answers.ts';
import type { HealthParts } from './health-parts.ts';
import type { LastDay } from './last-day.ts';
import { daemonMetrics, type MetricsDeps } from './metrics.ts';

interface DescribeDeps extends MetricsDeps {
  readonly view: HealthParts['view'];
  /** On a server: which one has the session. */
  readonly lease: (() => LeaseStanding) | undefined;
  readonly runtime: Pick<Runtime, 'cpuMs'>;
  readonly progress: CommandProgress;
  readonly log: Log;
  readonly logLevel: LiveLogLevel;
  readonly commandTypes: () => Promise<readonly string[]>;
  readonly live: Pick<LivePolicy, 'file' | 'reload' | 'problem'>;
  readonly refused: Pick<Refusals, 'rows'>;
  readonly histograms: Histograms;
  readonly access: Pick<LiveAccess, 'reload' | 'restart'>;
  readonly signIn: Pick<SignIn, 'newLink'>;
  readonly day: Pick<LastDay, 'answer'>;
}

export interface DaemonFacts {
  readonly config: Config;
  readonly agentId: () => string;
  readonly cloneOf: AgentIdentity['cloneOf'];
  /** Monotonic ms. */
  readonly startedAt: number;
}

/**
 * What the daemon shows of itself. It reads the store, counters, and root's files anew; no part
 * reports to it.
 */
export function describeDaemon(
  deps: DescribeDeps,
  facts: DaemonFacts,
): Omit<ApiSources, 'realtime' | 'routes'> {
  return {
    version: BUILD,
    ready: async (signal) =>
      readyAnswer(await deps.health.look(signal), standbyText(deps.lease?.())),
    health: (signal) => healthAnswer(deps.health, signal),
    detailed: (signal) => detailedHealth(deps, facts, signal),
    policy: async () => {
      await deps.live.reload();
      const problem = deps.live.problem();
      return { problem: problem === undefined ? null : problemOf(problem) };
    },
    policyRules: async () => {
      const { describePolicy } = await import('../policy/describe.ts');
      const file = deps.live.file();
      const effective = file && effectivePolicy(file);
      return {
        preset: effective?.preset ?? null,
        rules: effective === undefined ? [] : [...describePolicy(effective)],
      };
    },
    refusals: deps.refused.rows,
    session: async () => {
      await deps.access.reload();
      // While a next try is set, the last one has failed.
      if (deps.state.snapshot().nextTry !== null) {
        deps.access.restart();
      }
      return { phase: deps.state.snapshot().phase };
    },
    dashboardLink: () => {
      const { code, expiresAt } = deps.signIn.newLink();
      return {
        // The code stands behind "#": it is in no request, and so in no log.
        url: `http://127.0.0.1:${facts.config.http.port}${DASHBOARD_PREFIX}/#${code}`,
        expires_at: expiresAt.toISOString(),
      };
    },
    commands: commandSource(deps),
    features: () => features(deps, deps.dataPlane !== undefined),
    connectivity: async (signal) => connectivity(deps, await deps.health.look(signal)),
    runtime: () => runtimeAnswer(deps, uptimeSeconds(deps, facts)),
    day: deps.day.answer,
    logLevel: () => logLevelAnswer(deps.logLevel),
    changeLogLevel: ({ level, seconds }) => {
      deps.logLevel.change(level, seconds * 1_000);
      deps.log.warn('the level of the log was changed', logLevelAnswer(deps.logLevel));
      return logLevelAnswer(deps.logLevel);
    },
    settings: () => ({ settings: settingValues(facts.config) }),
    metrics: (accept) =>
      exposition(
        daemonMetrics(deps, {
          agentId: facts.agentId(),
          role: facts.config.agent.role,
          uptimeSeconds: uptimeSeconds(deps, facts),
        }),
        deps.histograms,
        accept,
      ),
  };
}

/** `stands by; server-1 has the session`; undefined where the session is here, and on a worker. */
export function standbyText(lease: LeaseStanding | undefined): string | undefined {
  if (lease === undefined || lease.isHeld) {
    return undefined;
  }
  return `stands by; ${lease.holder ?? 'no server'} has the session`;
}

async function detailedHealth(
  deps: DescribeDeps,
  facts: DaemonFacts,
  signal: AbortSignal,
): Promise<DetailedHealth> {
  // First, so that the session described is that of the token now in its file.
  await deps.access.reload();
  const health = await deps.health.look(signal);
  const view = await deps.view();
  return {
    agent: {
      id: facts.agentId(),
      ...(facts.cloneOf === null ? {} : { copy_of: facts.cloneOf.id }),
      version: BUILD.version,
      role: facts.config.agent.role,
      // A worker knows neither the name of its cluster nor the control plane.
      cluster_name: facts.config.agent.role === 'node' ? null : facts.config.cluster.name,
      pid: process.pid,
      uptime_seconds: uptimeSeconds(deps, facts),
      memory_rss_bytes: process.memoryUsage.rss(),
    },
    ready: health.ready,
    ...reasonsAndWarnings(health),
    ...view,
    session: describeSession(deps, facts),
    commands: { ...deps.journal.counts(), ...deps.executor.counts() },
    timestamp: deps.clock.now().toISOString(),
  };
}

export function describeSession(
  deps: Pick<DescribeDeps, 'state' | 'lease'>,
  { config }: Pick<DaemonFacts, 'config'>,
): SessionChange {
  const session = deps.state.snapshot();
  return {
    phase: session.phase,
    since: session.since,
    ...(session.phase === 'standby' ? { holder: deps.lease?.().holder ?? null } : {}),
    control_plane: session.phase === 'standalone' ? null : config.control_plane.url,
    transport: session.transport,
    transport_reason: session.transportReason,
    down_since: session.downSince,
    next_try: session.nextTry,
    last_contact: session.lastContact,
    last_error: session.lastError,
  };
}

function uptimeSeconds(deps: DescribeDeps, facts: DaemonFacts): number {
  return Math.round((deps.clock.monotonic() - facts.startedAt) / 1_000);
}
