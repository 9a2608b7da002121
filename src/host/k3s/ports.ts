import type { K3sRole } from '../../core/k3s-places.ts';

/** Kubernetes' API and the kubelet (docs.k3s.io, "Requirements", "Networking"). */
export const K3S_PORTS: Readonly<Record<K3sRole, readonly number[]>> = {
  server: [6443, 10250],
  agent: [10250],
};
