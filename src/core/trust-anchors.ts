import { X509Certificate } from 'node:crypto';

/** A certificate in PEM (RFC 7468); what else such a file says is for people. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function certificatesOf(pem: string): readonly string[] {
  return pem.match(CERTIFICATE) ?? [];
}

/**
 * The certificates of a chain that none of the others has issued. k3s sends the intermediate ones
 * with its own (docs.k3s.io, "Using Custom CA Certificates"), so that only these have to be
 * trusted.
 */
export function trustAnchors(pem: string): readonly string[] {
  const chain = certificatesOf(pem).map((text) => ({
    text,
    certificate: new X509Certificate(text),
  }));
  return chain
    .filter(({ certificate }) =>
      chain.every(
        (other) => other.certificate === certificate || !certificate.checkIssued(other.certificate),
      ),
    )
    .map(({ text }) => text);
}
