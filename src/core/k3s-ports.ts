import type { K3sRole } from './k3s-places.ts';

/** By which others reach it: Kubernetes' API and the kubelet (docs.k3s.io, "Requirements", "Networking"). */
export const K3S_PORTS: Readonly<Record<K3sRole, readonly number[]>> = {
  server: [6443, 10250],
  agent: [10250],
};

/** etcd, where the cluster's data are in it: clients and other members, metrics and clients on loopback. */
export const ETCD_PORTS: readonly number[] = [2379, 2380, 2381, 2382];

/** On loopback: load balancer, health and metrics of its parts. Without one of them it does not start. */
export const K3S_INNER_PORTS: Readonly<Record<K3sRole, readonly number[]>> = {
  server: [6444, 10248, 10249, 10256, 10257, 10258, 10259],
  agent: [6444, 10248, 10249, 10256],
};

/**
 * k3s' own balancer on a worker (k3s, "--lb-server-port"): through it the kubelet reaches any server that is
 * up, even when the one it joined is gone.
 */
export const K3S_BALANCER_URLS = onLoopback('https', 6444);

/** The health of the kubelet. */
export const KUBELET_HEALTH_URLS = onLoopback('http', 10_248, '/healthz');

/** etcd's, for HTTP alone (k3s, "pkg/etcd"). */
export const ETCD_HTTP_URLS = onLoopback('https', 2382);

/** UDP, for the pods' traffic between machines (flannel, VXLAN). */
export const VXLAN_PORT = 8472;

/** TCP, where nodes hand images to each other (docs.k3s.io, "Embedded Registry Mirror"). */
export const EMBEDDED_REGISTRY_PORT = 5001;

/** On loopback: what containerd streams logs and exec over. */
const CONTAINERD_PORT = 10010;

/** All that k3s may listen on by TCP, on whichever machine. */
export const ALL_K3S_PORTS: readonly number[] = [
  ...K3S_PORTS.server,
  ...ETCD_PORTS,
  ...K3S_INNER_PORTS.server,
  CONTAINERD_PORT,
  EMBEDDED_REGISTRY_PORT,
];

/**
 * Where a part of k3s may listen: by IPv6 instead of IPv4 where the node's first address is of IPv6 (k3s,
 * "pkg/daemons/agent", "pkg/agent/loadbalancer"), or the first network of Services (k3s, "Control.Loopback").
 */
function onLoopback(scheme: 'http' | 'https', port: number, path = ''): readonly [string, string] {
  return [`${scheme}://127.0.0.1:${port}${path}`, `${scheme}://[::1]:${port}${path}`];
}
