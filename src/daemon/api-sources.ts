/** What the local API tells beside health: commands, what depends on what, and what the process uses. */
import type { CommandProgress } from '../commands/engine/progress.ts';
import { redactData, secretsOf } from '../commands/engine/secrets.ts';
import { targetOf } from '../commands/engine/target.ts';
import type { SessionState } from '../control-plane/session/state.ts';
import type { LiveLogLevel } from '../core/log-levels.ts';
import type { Clock, Runtime } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import type { HealthState } from '../health/tracker.ts';
import type {
  ConnectivityAnswer,
  FeaturesAnswer,
  LogLevelAnswer,
  RuntimeAnswer,
} from '../protocol/local-status.ts';
import type { CommandResult } from '../protocol/rest.ts';
import type { CommandSource } from '../server/api/sources.ts';
import type { CommandJournal } from '../store/journal/commands.ts';

export function commandSource({
  journal,
  progress,
}: {
  readonly journal: Pick<CommandJournal, 'list' | 'show' | 'cancel'>;
  readonly progress: Pick<CommandProgress, 'of'>;
}): CommandSource {
  return {
    list: journal.list,
    find: (id) => {
      const found = journal.show(id);
      return (
        found && {
          ...found.row,
          target: targetOf(found.command?.payload) ?? null,
          progress: progress.of(id) ?? null,
          result: withoutSecrets(found.result),
        }
      );
    },
    cancel: async (id) => {
      const found = journal.show(id);
      if (found === undefined) {
        return undefined; // The journal would remember it, in case the command comes later.
      }
      // A finished one would be sent to the control plane again.
      return { outcome: found.result === undefined ? await journal.cancel(id) : 'finished' };
    },
  };
}

/** Some results tell the control plane a secret, such as a join token: it is for nobody else. */
function withoutSecrets(result: CommandResult | undefined): CommandResult | null {
  if (result === undefined) {
    return null;
  }
  const { data, ...rest } = result;
  return data === undefined ? rest : { ...rest, data: redactData(data, secretsOf(data)) };
}

/** @param isServer whether this agent has the Kubernetes API and a data plane */
export async function features(
  deps: { readonly clock: Clock; readonly commandTypes: () => Promise<readonly string[]> },
  isServer: boolean,
): Promise<FeaturesAnswer> {
  return {
    features: {
      k8s_api: isServer,
      real_time_proxy: isServer,
      tunnel: isServer,
      metrics: true,
      health_monitoring: true,
      runtime_metrics: true,
      feature_version: BUILD.version,
    },
    commands: isServer ? [...(await deps.commandTypes())] : [],
    timestamp: deps.clock.now().toISOString(),
  };
}

/** Warnables that say whether Kubernetes answers: on a server, and on a worker. */
const KUBERNETES: readonly string[] = ['kubernetes', 'server'];

/** The same truth as health, in the shape that programs for older agents know. */
export function connectivity(
  deps: { readonly clock: Clock; readonly state: Pick<SessionState, 'snapshot'> },
  { ready, problems }: HealthState,
): ConnectivityAnswer {
  const { phase, transport } = deps.state.snapshot();
  const test = (wanted: (warnable: string) => boolean) => {
    const problem = problems.find(({ warnable }) => wanted(warnable));
    return { status: problem === undefined, error: problem?.message ?? null };
  };
  const hasNone = phase === 'standalone' || phase === 'standby';
  return {
    overall_status: ready ? 'healthy' : 'degraded',
    tests: {
      kubernetes_api: test((warnable) => KUBERNETES.includes(warnable)),
      control_plane: hasNone
        ? null
        : { ...test((warnable) => warnable === 'session'), method: transport },
    },
    timestamp: deps.clock.now().toISOString(),
  };
}

export function logLevelAnswer({ current, configured, until }: LiveLogLevel): LogLevelAnswer {
  return { level: current(), configured, until: until()?.toISOString() ?? null };
}

export function runtimeAnswer(
  deps: { readonly clock: Clock; readonly runtime: Pick<Runtime, 'cpuMs'> },
  uptimeSeconds: number,
): RuntimeAnswer {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  return {
    memory: {
      rss_bytes: rss,
      heap_used_bytes: heapUsed,
      heap_total_bytes: heapTotal,
      external_bytes: external,
    },
    cpu_ms: deps.runtime.cpuMs(),
    runtime: { name: 'bun', version: Bun.version },
    uptime_seconds: uptimeSeconds,
    timestamp: deps.clock.now().toISOString(),
  };
}
