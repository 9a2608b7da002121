import { getCACertificates } from 'node:tls';

/** The certificates (PEM) that this machine's programs trust. */
export function trustedAuthorities(): readonly string[] {
  return getCACertificates('default');
}
