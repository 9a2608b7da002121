import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';

export interface ClusterTrace {
  readonly path: string;
  /** `a kubeadm node` */
  readonly what: string;
  /** What takes it away. */
  readonly remove: string;
}

/** Paths by which another Kubernetes is recognised. */
const TRACES: readonly ClusterTrace[] = [
  { path: K3S_EXECUTABLE, what: 'k3s', remove: 'k3s-uninstall.sh or k3s-agent-uninstall.sh' },
  { path: '/usr/local/bin/rke2', what: 'RKE2', remove: 'rke2-uninstall.sh' },
  { path: '/etc/kubernetes/kubelet.conf', what: 'a kubeadm node', remove: 'kubeadm reset' },
  { path: '/snap/microk8s', what: 'MicroK8s', remove: 'snap remove microk8s' },
  { path: '/usr/local/bin/k0s', what: 'k0s', remove: 'k0s reset' },
  // There as long as this machine belongs to a swarm (moby, daemon/cluster/cluster.go).
  {
    path: '/var/lib/docker/swarm/docker-state.json',
    what: 'a node of a Docker swarm',
    remove: 'docker swarm leave --force',
  },
];

/** Traces of a Kubernetes on this machine. */
export const otherClusters: Fact<readonly ClusterTrace[]> = {
  id: 'other-clusters',
  read: async ({ files, subject }) => {
    const traces = TRACES.filter(
      ({ path }) =>
        path !== K3S_EXECUTABLE || (subject.adoptsK3s !== true && subject.hasPreparedK3s !== true),
    );
    const found = await Promise.all(traces.map(({ path }) => files.stat(path)));
    return traces.filter((_, index) => found[index] !== undefined);
  },
};
