import { EMBEDDED_REGISTRY_PORT, VXLAN_PORT } from '../../core/k3s-ports.ts';
import type { Fact } from './fact.ts';
import { k3sSettings } from './k3s-settings.ts';
import { subject } from './subject.ts';
import { usesEtcd } from './uses-etcd.ts';

export interface NodePort {
  readonly protocol: 'tcp' | 'udp';
  readonly first: number;
  readonly last: number;
  /** As part of a sentence: `the API`. */
  readonly purpose: string;
}

/** By what connects the pods of different nodes (docs.k3s.io, "Basic Network Options"). */
const POD_PORTS: Readonly<Record<string, NodePort>> = {
  vxlan: one('udp', VXLAN_PORT, 'pods of other nodes'),
  'wireguard-native': one('udp', 51820, 'pods of other nodes'),
};

/** What the other nodes of a cluster connect to on this machine (docs.k3s.io, "Requirements", "Networking"). */
export const nodePorts: Fact<readonly NodePort[]> = {
  id: 'node-ports',
  read: async (_, facts) => {
    const { k3sRole, config } = await facts(subject);
    const settings = await facts(k3sSettings);
    const pods = POD_PORTS[String(settings['flannel-backend'] ?? 'vxlan')];
    const isServer = k3sRole === 'server';
    return [
      ...(isServer ? [one('tcp', 6443, 'the API')] : []),
      one('tcp', 10250, 'the kubelet'),
      ...(pods === undefined ? [] : [pods]),
      ...(settings['embedded-registry'] === true || config.k3s.embedded_registry
        ? [one('tcp', EMBEDDED_REGISTRY_PORT, 'images of other nodes')]
        : []),
      ...((await facts(usesEtcd))
        ? [{ ...one('tcp', 2379, 'etcd of the other servers'), last: 2380 }]
        : []),
    ];
  },
};

function one(protocol: 'tcp' | 'udp', port: number, purpose: string): NodePort {
  return { protocol, first: port, last: port, purpose };
}
