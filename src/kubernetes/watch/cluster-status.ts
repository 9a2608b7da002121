import type {
  KubernetesObject,
  V1Deployment,
  V1Node,
  V1ObjectMeta,
  V1Pod,
  V1Service,
} from '@kubernetes/client-node';
import type { NodeStatus, PodInfo, ResourceInfo } from '../../protocol/rest.ts';
import type { KubernetesClient } from '../api/client.ts';
import { isConditionTrue } from '../api/condition.ts';
import { isRolledOut } from '../deployments/view.ts';

/**
 * Goes through a list page by page and keeps only what `pick` takes of each object.
 * @param query which objects: selectors
 */
export async function collect<T extends KubernetesObject, R>(
  client: KubernetesClient,
  path: string,
  pick: (object: T) => R,
  signal: AbortSignal,
  query: Readonly<Record<string, string>> = {},
): Promise<R[]> {
  const picked: R[] = [];
  let next: string | undefined;
  do {
    const going = next === undefined ? {} : { continue: next };
    const page = await client.page<T>(path, { ...query, ...going }, signal);
    picked.push(...page.items.map(pick));
    next = continueToken(page.metadata);
  } while (next !== undefined);
  return picked;
}

/** client-node's types call the wire's `continue` `_continue`; the wire says `continue`. */
export function continueToken(metadata: object | undefined): string | undefined {
  const token: unknown = metadata === undefined ? undefined : Reflect.get(metadata, 'continue');
  return typeof token === 'string' && token !== '' ? token : undefined;
}

/** A node, and where its kubelet listens. */
export interface NodeRow {
  readonly status: NodeStatus;
  /** Empty while unknown. */
  readonly internalIp: string;
  readonly kubeletPort: number;
}

/** Where a kubelet listens unless its node says otherwise (kubernetes.io, "Ports and Protocols"). */
const KUBELET_PORT = 10_250;

export function nodeRow(node: V1Node): NodeRow {
  const address = node.status?.addresses?.find((each) => each.type === 'InternalIP')?.address;
  return {
    status: nodeStatus(node),
    internalIp: address ?? '',
    kubeletPort: node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? KUBELET_PORT,
  };
}

function nodeStatus(node: V1Node): NodeStatus {
  const info = node.status?.nodeInfo;
  return {
    name: node.metadata?.name ?? '',
    ready: isConditionTrue(node.status?.conditions, 'Ready'),
    version: info?.kubeletVersion ?? '',
    os: info?.operatingSystem ?? '',
    arch: info?.architecture ?? '',
    ...(node.metadata?.labels === undefined ? {} : { labels: node.metadata.labels }),
    resources: {
      allocatable: quantities(node.status?.allocatable),
      capacity: quantities(node.status?.capacity),
    },
  };
}

function quantities(all: Readonly<Record<string, string>> | undefined) {
  const { cpu, memory } = all ?? {};
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
  };
}

export function deploymentInfo(deployment: V1Deployment): ResourceInfo {
  return resourceInfo(deployment.metadata, isRolledOut(deployment));
}

export function serviceInfo(service: V1Service): ResourceInfo {
  return resourceInfo(service.metadata, true);
}

export function podInfo(pod: V1Pod): PodInfo {
  const statuses = pod.status?.containerStatuses ?? [];
  return {
    ...resourceInfo(pod.metadata, isConditionTrue(pod.status?.conditions, 'Ready')),
    phase: pod.status?.phase ?? 'Unknown',
    node_name: pod.spec?.nodeName ?? '',
    containers: pod.spec?.containers.length ?? 0,
    restarts: statuses.reduce((sum, status) => sum + status.restartCount, 0),
  };
}

function resourceInfo(metadata: V1ObjectMeta | undefined, ready: boolean): ResourceInfo {
  return {
    name: metadata?.name ?? '',
    namespace: metadata?.namespace ?? '',
    ...(metadata?.labels === undefined ? {} : { labels: metadata.labels }),
    ready,
    // On the wire it is text; client-node's type says Date.
    created_at: String(metadata?.creationTimestamp ?? ''),
  };
}
