import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';

/** What another Kubernetes leaves where, and how to take it away. */
const TRACES: readonly { readonly path: string; readonly what: string; readonly remove: string }[] =
  [
    { path: K3S_EXECUTABLE, what: 'k3s', remove: 'k3s-uninstall.sh or k3s-agent-uninstall.sh' },
    { path: '/usr/local/bin/rke2', what: 'RKE2', remove: 'rke2-uninstall.sh' },
    { path: '/etc/kubernetes/kubelet.conf', what: 'a kubeadm node', remove: 'kubeadm reset' },
    { path: '/snap/microk8s', what: 'MicroK8s', remove: 'snap remove microk8s' },
    { path: '/usr/local/bin/k0s', what: 'k0s', remove: 'k0s reset' },
  ];

/** @throws AgentError CLUSTER_EXISTS: two Kubernetes on one machine break each other */
export async function checkNoOtherCluster(deps: { readonly files: Files }): Promise<void> {
  for (const { path, what, remove } of TRACES) {
    if ((await deps.files.stat(path)) !== undefined) {
      throw new AgentError('CLUSTER_EXISTS', `This machine already runs ${what} (${path})`, {
        hint: `Use another machine, or remove it first: ${remove}`,
      });
    }
  }
}
