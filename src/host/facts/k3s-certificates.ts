import { type K3sCertificate, readK3sCertificates } from '../k3s/certificates.ts';
import type { Fact } from './fact.ts';

/** Those that k3s has made for its parts on this machine; root's. */
export const k3sCertificates: Fact<readonly K3sCertificate[]> = {
  id: 'k3s-certificates',
  read: async ({ files }) => await readK3sCertificates(files),
};
