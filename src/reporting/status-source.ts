import type { StatusSource } from '../control-plane/session/ports.ts';
import { bell } from '../core/bell.ts';
import type { Clock, Http, Log, Random } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import type { KubernetesCredentials } from '../kubernetes/api/credentials.ts';
import { nodeUsageReader, resourceUsageReader } from '../kubernetes/usage/cluster.ts';
import type { ReportedKind } from '../kubernetes/watch/cluster-cache.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';
import type { ClusterStatus } from '../protocol/rest.ts';
import { clusterRows, type ReadClusterRows } from './cluster-rows.ts';
import { type ClusterState, clusterState } from './cluster-state.ts';
import { statusJson } from './status-json.ts';
import { statusReports } from './status-reports.ts';

export interface StatusSourceDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly http: Http;
  readonly client: KubernetesClient;
  readonly credentials: KubernetesCredentials;
  readonly follow: FollowKind;
}

/**
 * The state of the cluster for sessions and for the local API, and the service that follows it: from the
 * first question on, so that a machine about which nobody asks holds nothing.
 */
export function statusSource(deps: StatusSourceDeps): {
  readonly source: StatusSource;
  readonly service: Service;
  readonly rows: ReadClusterRows;
  /** How often the rows of each kind have changed since the start. */
  readonly rowChanges: () => Readonly<Record<ReportedKind, number>>;
  /**
   * Everything that is known now, once there is something.
   * @throws AgentError as `ClusterState.ready`
   */
  readonly current: (signal: AbortSignal) => Promise<ClusterStatus>;
} {
  const readNodeUsage = nodeUsageReader(deps);
  const state = clusterState({ ...deps, readUsage: resourceUsageReader(deps, readNodeUsage) });
  const asked = bell();
  const current = async (signal: AbortSignal) => {
    asked.ring();
    await state.ready(signal);
    return currentStatus(deps, state);
  };
  return {
    current,
    rows: clusterRows({ ...deps, readNodeUsage }, state, asked.ring),
    rowChanges: () => {
      const { nodes, namespaces, deployments, services, pods } = state.cache;
      return {
        nodes: nodes.generation,
        namespaces: namespaces.generation,
        deployments: deployments.generation,
        services: services.generation,
        pods: pods.generation,
      };
    },
    source: {
      fullJson: async (signal) => statusJson(deps, await current(signal)),
      reports: () => {
        asked.ring();
        return statusReports(deps, state);
      },
      summary: () => {
        asked.ring();
        const { cpu_usage, memory_usage, pod_count, node_count } = state.metrics();
        return {
          kubernetesVersion: state.version(),
          nodes: node_count,
          pods: pod_count,
          cpuPercent: cpu_usage,
          memoryPercent: memory_usage,
        };
      },
    },
    service: {
      name: 'cluster-status',
      start: async (signal) => ({ done: asked.wait(signal).then(() => state.follow(signal)) }),
    },
  };
}

/** Kinds that are unknown are null: an empty list means that there are none. */
function currentStatus(deps: { readonly clock: Clock }, state: ClusterState): ClusterStatus {
  const { nodes, namespaces, deployments, services, pods } = state.cache;
  return {
    nodes: nodes.isKnown() ? nodes.rows().map(({ status }) => status) : null,
    namespaces: namespaces.isKnown() ? namespaces.rows() : null,
    deployments: deployments.isKnown() ? deployments.rows() : null,
    services: services.isKnown() ? services.rows() : null,
    pods: pods.isKnown() ? pods.rows() : null,
    metrics: state.metrics(),
    timestamp: deps.clock.now().toISOString(),
  };
}
