import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import type { Clock, Http, Log } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { AGENT_NAMESPACE, STATS_SERVICE_ACCOUNT } from '../account/rbac.ts';
import { type ShortToken, shortToken } from '../account/short-token.ts';
import type { KubernetesClient } from '../api/client.ts';
import type { KubernetesCredentials } from '../api/credentials.ts';
import { collect, type NodeRow } from '../watch/cluster-status.ts';
import { type NodeUsage, readKubeletUsage } from './kubelet.ts';
import { parseQuantity } from './quantity.ts';

/** Kubelets asked in one round: in a larger cluster something measures centrally. */
const KUBELETS_MAX = 50;
/** Kubelets asked at the same time. */
const KUBELETS_AT_ONCE = 4;
const METRICS_PATH = pathOfKind(KINDS.nodeMetrics);

/** Percent of the capacity of the nodes that were measured, one decimal; 0 when none was. */
export interface ResourceUsage {
  readonly cpuPercent: number;
  readonly memoryPercent: number;
}

export const NO_USAGE: ResourceUsage = { cpuPercent: 0, memoryPercent: 0 };

interface NodeMetrics extends KubernetesObject {
  readonly usage?: { readonly cpu?: string; readonly memory?: string };
}

export interface ResourceUsageDeps {
  readonly clock: Clock;
  readonly client: KubernetesClient;
  readonly http: Http;
  readonly credentials: KubernetesCredentials;
  readonly log: Log;
}

/** Reads CPU and memory in use. Expected trouble is no error: nothing is measured then. */
export type ReadResourceUsage = (
  nodes: readonly NodeRow[],
  signal: AbortSignal,
) => Promise<ResourceUsage>;

/** What of all nodes together is in use. */
export function resourceUsageReader(
  deps: ResourceUsageDeps,
  read: ReadNodeUsage = nodeUsageReader(deps),
): ReadResourceUsage {
  return async (nodes, signal) => usageOf(nodes, await read(nodes, signal));
}

/** What each node uses, by its name. Expected trouble is no error: a node is not in it then. */
export type ReadNodeUsage = (nodes: readonly NodeRow[], signal: AbortSignal) => Promise<Measured>;

/**
 * Asks metrics.k8s.io, and where nothing serves that, the kubelets themselves; never through
 * nodes/proxy, a permission that is exec in every pod. Says in the log once why it cannot.
 */
export function nodeUsageReader(deps: ResourceUsageDeps): ReadNodeUsage {
  let reason: string | undefined;
  const account = { namespace: AGENT_NAMESPACE, serviceAccount: STATS_SERVICE_ACCOUNT };
  const token = shortToken(deps, account);
  return async (nodes, signal) => {
    const problems: string[] = [];
    const note = (thrown: unknown) => {
      // Everything else is a bug.
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      problems.push(troubleOf(thrown));
    };
    const measured =
      (await centralUsage(deps, signal).catch(note)) ??
      (await kubeletsUsage({ ...deps, token }, nodes, note, signal));
    if (measured.size === 0 && problems[0] !== reason && !signal.aborted) {
      reason = problems[0];
      deps.log.debug('cannot measure CPU and memory of the cluster', { error: reason });
    }
    return measured;
  };
}

type Measured = ReadonlyMap<string, NodeUsage>;

async function centralUsage(
  deps: ResourceUsageDeps,
  signal: AbortSignal,
): Promise<Measured | undefined> {
  const pick = ({ metadata, usage }: NodeMetrics) => ({
    name: metadata?.name ?? '',
    cores: parseQuantity(usage?.cpu ?? '') ?? 0,
    bytes: parseQuantity(usage?.memory ?? '') ?? 0,
  });
  const items = await collect(deps.client, METRICS_PATH, pick, signal);
  // A metrics-server that has just started knows no node yet.
  return items.length === 0 ? undefined : new Map(items.map((each) => [each.name, each]));
}

async function kubeletsUsage(
  deps: ResourceUsageDeps & { readonly token: ShortToken },
  nodes: readonly NodeRow[],
  note: (thrown: unknown) => void,
  signal: AbortSignal,
): Promise<Measured> {
  const measured = new Map<string, NodeUsage>();
  const waiting = nodes.filter(({ internalIp }) => internalIp !== '').slice(0, KUBELETS_MAX);
  const ask = async () => {
    for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
      const usage = await readKubeletUsage(deps, node, signal).catch(note);
      if (usage !== undefined) {
        measured.set(node.status.name, usage);
      }
    }
  };
  await Promise.all(Array.from({ length: KUBELETS_AT_ONCE }, ask));
  return measured;
}

function usageOf(nodes: readonly NodeRow[], measured: Measured): ResourceUsage {
  const used = { cores: 0, bytes: 0 };
  const capacity = { cores: 0, bytes: 0 };
  for (const { status } of nodes) {
    const usage = measured.get(status.name);
    const cores = parseQuantity(status.resources.capacity.cpu ?? '') ?? 0;
    const bytes = parseQuantity(status.resources.capacity.memory ?? '') ?? 0;
    if (usage !== undefined && cores > 0 && bytes > 0) {
      used.cores += usage.cores;
      used.bytes += usage.bytes;
      capacity.cores += cores;
      capacity.bytes += bytes;
    }
  }
  return {
    cpuPercent: percent(used.cores, capacity.cores),
    memoryPercent: percent(used.bytes, capacity.bytes),
  };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1_000) / 10;
}
