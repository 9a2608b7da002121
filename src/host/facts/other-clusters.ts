import { K3S_EXECUTABLE, K3S_ROLES, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';

export interface ClusterTrace {
  readonly path: string;
  /** `a kubeadm node` */
  readonly what: string;
  /** What takes it away. */
  readonly remove: string;
}

interface Traces extends Omit<ClusterTrace, 'path'> {
  /** The first one that is there is told. */
  readonly paths: readonly string[];
}

/** A unit without this program is one that has its program elsewhere: where `/usr/local` is read-only, in `/opt/bin`. */
const K3S: Traces = {
  paths: [K3S_EXECUTABLE, ...K3S_ROLES.map(k3sUnitFile)],
  what: 'k3s',
  remove: 'k3s-uninstall.sh or k3s-agent-uninstall.sh',
};

/** By what another Kubernetes is recognised. */
const TRACES: readonly Traces[] = [
  K3S,
  {
    // From an archive, from a package (as on RHEL), and where /usr/local is read-only (docs.rke2.io, "Installation Methods").
    paths: ['/usr/local/bin/rke2', '/usr/bin/rke2', '/opt/rke2/bin/rke2'],
    what: 'RKE2',
    remove: 'rke2-uninstall.sh',
  },
  { paths: ['/etc/kubernetes/kubelet.conf'], what: 'a kubeadm node', remove: 'kubeadm reset' },
  {
    // On Debian and Ubuntu, and on all others.
    paths: ['/snap/microk8s', '/var/lib/snapd/snap/microk8s'],
    what: 'MicroK8s',
    remove: 'snap remove microk8s',
  },
  { paths: ['/usr/local/bin/k0s'], what: 'k0s', remove: 'k0s reset' },
  {
    // There as long as this machine belongs to a swarm (moby, daemon/cluster/cluster.go).
    paths: ['/var/lib/docker/swarm/docker-state.json'],
    what: 'a node of a Docker swarm',
    remove: 'docker swarm leave --force',
  },
];

/** Traces of a Kubernetes on this machine. */
export const otherClusters: Fact<readonly ClusterTrace[]> = {
  id: 'other-clusters',
  read: async ({ files, subject }) => {
    const ownsK3s = subject.adoptsK3s === true || subject.hasPreparedK3s === true;
    const found: ClusterTrace[] = [];
    for (const { paths, ...about } of TRACES.filter((each) => !(ownsK3s && each === K3S))) {
      const stats = await Promise.all(paths.map((path) => files.stat(path)));
      const path = paths.find((_, index) => stats[index] !== undefined);
      if (path !== undefined) {
        found.push({ path, ...about });
      }
    }
    return found;
  },
};
