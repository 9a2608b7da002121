import { X509Certificate } from 'node:crypto';
import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';

const DIRECTORIES = ['server/tls', 'server/tls/etcd', 'agent'].map(
  (name) => `${K3S_DATA_DIRECTORY}/${name}`,
);
/** k3s makes about 25. */
const CERTIFICATES_MAX = 100;

export interface K3sCertificate {
  readonly path: string;
  readonly isAuthority: boolean;
  readonly endsAt: Date;
}

/** Those that k3s has made for its parts on this machine; root's. */
export const k3sCertificates: Fact<readonly K3sCertificate[]> = {
  id: 'k3s-certificates',
  read: async ({ files }) => {
    const found: K3sCertificate[] = [];
    for (const directory of DIRECTORIES) {
      const names = (await files.list(directory)).filter((name) => name.endsWith('.crt'));
      for (const name of names.slice(0, CERTIFICATES_MAX)) {
        const path = `${directory}/${name}`;
        found.push(...certificatesIn(path, (await files.readText(path)) ?? ''));
      }
    }
    return found;
  },
};

/** The first one counts: behind it stand those that have signed it. What is none is left out. */
function certificatesIn(path: string, pem: string): readonly K3sCertificate[] {
  try {
    const { ca, validTo } = new X509Certificate(pem);
    return [{ path, isAuthority: ca, endsAt: new Date(validTo) }];
  } catch {
    return [];
  }
}
