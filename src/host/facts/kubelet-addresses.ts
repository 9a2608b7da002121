import { X509Certificate } from 'node:crypto';
import { K3S_AGENT_DIRECTORY } from '../../core/k3s-places.ts';
import { isLoopback } from '../../core/loopback.ts';
import { normalAddress } from '../../core/text/normal-address.ts';
import type { Fact } from './fact.ts';

/** Of the kubelet, made at each start of k3s for the addresses of its node. */
const CERTIFICATE = `${K3S_AGENT_DIRECTORY}/serving-kubelet.crt`;

/** By which the cluster knows this node, as of the last start of k3s; none before the first one. */
export const kubeletAddresses: Fact<readonly string[]> = {
  id: 'kubelet-addresses',
  read: async ({ files }) => addressesIn((await files.readText(CERTIFICATE)) ?? ''),
};

/** `DNS:node-1, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:0:5` */
function addressesIn(pem: string): readonly string[] {
  try {
    const names = new X509Certificate(pem).subjectAltName ?? '';
    return [...names.matchAll(/IP Address:([^,\s]+)/g)]
      .map(([, address = '']) => normalAddress(address))
      .filter((address) => !isLoopback(address));
  } catch {
    return []; // What is no certificate the check of those tells.
  }
}
