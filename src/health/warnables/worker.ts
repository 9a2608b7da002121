/** What a worker needs. */
import type { Warnable } from '../warnable.ts';

export const kubelet: Warnable = {
  id: 'kubelet',
  title: 'Kubelet',
  severity: 'blocks',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'It runs the pods of this machine; without it the cluster takes them away.',
  remedy:
    'Look at k3s, which it is part of: `systemctl status k3s-agent`, `sudo journalctl -u k3s-agent`.',
  find: ({ kubeletTrouble }) =>
    kubeletTrouble === undefined
      ? []
      : [
          {
            code: 'K3S_NOT_READY',
            message: `The kubelet is not healthy: ${kubeletTrouble}`,
            hint: 'Look at: systemctl status k3s-agent',
          },
        ],
};

export const clusterServer: Warnable = {
  id: 'server',
  title: 'Server of the cluster',
  severity: 'blocks',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'Pods that run go on, but nothing new comes to this machine, and the cluster takes it for lost.',
  remedy: `On the server: \`systemctl status k3s\`. Between the machines port 6443 must be open. If the server has another
address now, join again with a new token.`,
  find: ({ server }) =>
    server?.trouble === undefined
      ? []
      : [
          {
            code: 'SERVER_UNREACHABLE',
            message: `The server of the cluster, ${server.url}, does not answer: ${server.trouble}`,
            hint: 'On the server: systemctl status k3s; between the machines: port 6443 must be open',
          },
        ],
};
