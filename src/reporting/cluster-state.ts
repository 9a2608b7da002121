import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import { settledOrAborted, settledWithin, within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { NO_USAGE, type ReadResourceUsage } from '../kubernetes/usage/cluster.ts';
import {
  type ClusterCache,
  type ClusterCacheDeps,
  clusterCache,
  REPORTED_KINDS,
} from '../kubernetes/watch/cluster-cache.ts';
import type { ClusterStatus } from '../protocol/rest.ts';

/** How long a report waits for the first lists. A list that has not come by then is unknown. */
const FIRST_LISTS_WAIT_MS = 30_000;
/** CPU and memory are measured this often at most, and only while someone reports them. */
const MEASURE_INTERVAL_MS = 60_000;
const MEASURE_TIMEOUT_MS = 30_000;

/** What is known of the cluster: its objects, version and resource usage. */
export interface ClusterState {
  readonly cache: ClusterCache;
  /** Empty while unknown. */
  version(): string;
  /** The figures in the form of reports. An unknown one counts as 0. */
  metrics(): ClusterStatus['metrics'];
  /**
   * Resolves when there is something to report.
   * @throws AgentError KUBERNETES_API when nothing at all is known of the cluster
   */
  ready(signal: AbortSignal): Promise<void>;
  /** Follows the cluster until the signal aborts; rejects only for a bug. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface ClusterStateDeps extends ClusterCacheDeps {
  readonly client: KubernetesClient;
  readonly readUsage: ReadResourceUsage;
}

export function clusterState(deps: ClusterStateDeps): ClusterState {
  const cache = clusterCache(deps);
  const measured = Promise.withResolvers<void>();
  let wanted = Promise.withResolvers<void>();
  let usage = NO_USAGE;
  let version = '';

  const measure = async (signal: AbortSignal) => {
    await cache.nodes.settled(signal);
    while (!signal.aborted) {
      wanted = Promise.withResolvers();
      await within(deps.clock, MEASURE_TIMEOUT_MS, signal, async (limited) => {
        version = (await readVersion(deps.client, limited)) ?? version;
        usage = await deps.readUsage(cache.nodes.rows(), limited);
      });
      measured.resolve();
      await deps.clock.sleep(MEASURE_INTERVAL_MS, signal);
      await settledOrAborted(wanted.promise, signal);
    }
  };

  return {
    cache,
    version: () => {
      wanted.resolve();
      return version;
    },
    metrics: () => {
      wanted.resolve();
      return {
        cpu_usage: usage.cpuPercent,
        memory_usage: usage.memoryPercent,
        pod_count: cache.pods.isKnown() ? cache.pods.size : 0,
        node_count: cache.nodes.isKnown() ? cache.nodes.size : 0,
      };
    },
    ready: async (signal) => {
      const first = [
        measured.promise,
        ...REPORTED_KINDS.map((kind) => cache[kind].settled(signal)),
      ];
      await settledWithin(deps.clock, FIRST_LISTS_WAIT_MS, signal, Promise.all(first));
      if (!REPORTED_KINDS.some((kind) => cache[kind].isKnown())) {
        throw nothingKnown(cache);
      }
    },
    follow: async (signal) => {
      await Promise.all([cache.follow(signal), measure(signal)]);
    },
  };
}

function nothingKnown(cache: ClusterCache): AgentError {
  const trouble = cache.nodes.trouble;
  const why = trouble?.message ?? 'it has not answered yet';
  return new AgentError('KUBERNETES_API', `The state of the cluster is not known: ${why}`, {
    hint: trouble?.hint ?? 'Check that k3s runs: systemctl status k3s',
    cause: trouble,
  });
}

async function readVersion(
  client: KubernetesClient,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const answer = await client.get<KubernetesObject & { gitVersion?: string }>('/version', signal);
    return answer.gitVersion;
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return undefined; // The informers already log that Kubernetes does not answer.
    }
    throw thrown;
  }
}
