import type {
  KubernetesObject,
  V1Deployment,
  V1Namespace,
  V1Node,
  V1Pod,
  V1Service,
} from '@kubernetes/client-node';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import type { Clock } from '../../core/ports.ts';
import type { PodInfo, ResourceInfo } from '../../protocol/rest.ts';
import { deploymentInfo, type NodeRow, nodeRow, podInfo, serviceInfo } from './cluster-status.ts';
import { KindCache } from './kind-cache.ts';
import type { FollowKind } from './shared-following.ts';
import { type SharedValues, sharedValues } from './shared-values.ts';

/** The kinds that are reported, in the order in which they are listed at first. */
export const REPORTED_KINDS = ['nodes', 'namespaces', 'deployments', 'services', 'pods'] as const;
export type ReportedKind = (typeof REPORTED_KINDS)[number];

/** The cluster as its watches see it, limited to what is reported. */
export interface ClusterCache {
  readonly nodes: KindCache<V1Node, NodeRow>;
  readonly namespaces: KindCache<V1Namespace, string>;
  readonly deployments: KindCache<V1Deployment, ResourceInfo>;
  readonly services: KindCache<V1Service, ResourceInfo>;
  readonly pods: KindCache<V1Pod, PodInfo>;
  /** Follows the cluster until the signal aborts; rejects only for a bug. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface ClusterCacheDeps {
  readonly clock: Clock;
  readonly follow: FollowKind;
}

export function clusterCache(deps: ClusterCacheDeps): ClusterCache {
  const shared = sharedValues();
  const cacheOf = <T extends KubernetesObject, Row>(pick: (object: T) => Row) =>
    new KindCache<T, Row>(deps, { key: keyOf, pick });
  const resource = <Info extends ResourceInfo>(info: Info) => shareResource(shared, info);
  const caches = {
    nodes: cacheOf(nodeRow),
    namespaces: cacheOf((namespace: V1Namespace) => namespace.metadata?.name ?? ''),
    deployments: cacheOf((each: V1Deployment) => resource(deploymentInfo(each))),
    services: cacheOf((each: V1Service) => resource(serviceInfo(each))),
    pods: cacheOf((each: V1Pod) => sharePod(shared, podInfo(each))),
  };
  const { nodes, namespaces, deployments, services, pods } = caches;
  const follow = async (signal: AbortSignal) => {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const kind = async <T extends KubernetesObject, Row>(
      path: string,
      cache: KindCache<T, Row>,
      before?: { settled(signal: AbortSignal): Promise<void> },
    ) => {
      // The first lists come one after the other: five at once would all be in memory.
      await before?.settled(either);
      try {
        await deps.follow(path, cache, either);
      } catch (thrown) {
        failed.abort();
        throw thrown;
      }
    };
    await Promise.all([
      kind(pathOfKind(KINDS.node), nodes),
      kind(pathOfKind(KINDS.namespace), namespaces, nodes),
      kind(pathOfKind(KINDS.deployment), deployments, namespaces),
      kind(pathOfKind(KINDS.service), services, deployments),
      kind(pathOfKind(KINDS.pod), pods, services),
    ]);
  };
  return { ...caches, follow };
}

function keyOf({ metadata }: KubernetesObject): string {
  const name = metadata?.name ?? '';
  return metadata?.namespace === undefined ? name : `${metadata.namespace}/${name}`;
}

/** In place: the row has just been made, and copying each of 100 000 would be felt. */
function shareResource<Info extends ResourceInfo>(shared: SharedValues, info: Info): Info {
  info.namespace = shared.text(info.namespace);
  info.created_at = shared.text(info.created_at);
  if (info.labels !== undefined) {
    info.labels = shared.labels(info.labels);
  }
  return info;
}

function sharePod(shared: SharedValues, pod: PodInfo): PodInfo {
  pod.phase = shared.text(pod.phase);
  pod.node_name = shared.text(pod.node_name);
  return shareResource(shared, pod);
}
