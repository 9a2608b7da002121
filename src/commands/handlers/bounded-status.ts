import type { ClusterStatus } from '../../protocol/rest.ts';

/**
 * How much of a message's 4 MiB the data of a result may take as JSON; the rest is for its output.
 */
export const RESOURCES_LIMIT_BYTES = 2.5 * 1024 * 1024;

/**
 * The objects in a namespace, and the nodes, which are in none. Without a namespace: everything.
 */
export function onlyNamespace(status: ClusterStatus, namespace: string | undefined): ClusterStatus {
  if (namespace === undefined) {
    return status;
  }
  const inside = <T extends { readonly namespace: string }>(list: T[] | null) =>
    list?.filter((each) => each.namespace === namespace) ?? null;
  const pods = inside(status.pods);
  return {
    ...status,
    namespaces: status.namespaces?.filter((name) => name === namespace) ?? null,
    deployments: inside(status.deployments),
    services: inside(status.services),
    pods,
    metrics: { ...status.metrics, pod_count: pods?.length ?? 0 },
  };
}

/** Cuts the lists of a cluster status that do not fit, and says which. */
export function fitClusterStatus(
  status: ClusterStatus,
): ClusterStatus & { readonly truncated_kinds?: string[] } {
  let leftBytes = RESOURCES_LIMIT_BYTES;
  const fits = (item: unknown): boolean => {
    leftBytes -= Buffer.byteLength(JSON.stringify(item)) + 1;
    return leftBytes >= 0;
  };
  const cut: string[] = [];
  const kept = <T>(name: string, list: readonly T[] | null): T[] | null => {
    const first = list?.findIndex((item) => !fits(item)) ?? -1;
    if (list === null || first === -1) {
      return list === null ? null : [...list];
    }
    cut.push(name);
    return list.slice(0, first);
  };
  // The most telling lists come first.
  const bounded = {
    ...status,
    nodes: kept('nodes', status.nodes),
    namespaces: kept('namespaces', status.namespaces),
    deployments: kept('deployments', status.deployments),
    services: kept('services', status.services),
    pods: kept('pods', status.pods),
  };
  return cut.length === 0 ? bounded : { ...bounded, truncated_kinds: cut };
}
