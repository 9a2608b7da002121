/** Why there is no connection to a server, in words that tell the reader what to look at. */
import { messageOf } from './errors.ts';
import { troubleOf } from './trouble.ts';

/**
 * What is at fault. `authority`, `name`, `time`: the server's certificate; `ca`: the certificates
 * to trust, on this machine; `proxy`: the proxy, so that nothing is known of the server.
 */
export type TroubleKind = 'authority' | 'name' | 'time' | 'ca' | 'not_tls' | 'proxy' | 'other';

export interface NetworkTrouble {
  readonly kind: TroubleKind;
  /** Completes "Cannot reach example.com: …". */
  readonly why: string;
  /** Whether certificates of our own were to be trusted instead of the public ones. */
  readonly ownCa: boolean;
  /** The proxy on the way; empty for none. */
  readonly proxy: string;
}

/** How the connection was tried. */
export type NetworkWay = Pick<NetworkTrouble, 'ownCa' | 'proxy'>;

/** What was seen of a certificate that was not accepted. */
export interface RefusedCertificate {
  readonly issuer: string | undefined;
  readonly validFrom: string | undefined;
  readonly validTo: string | undefined;
}

/** An error of a dialer, which knows more than its text says. */
export interface DialError extends Error {
  readonly code: string;
  readonly trouble: NetworkTrouble;
}

/** Names of OpenSSL (openssl-verification-options(1)) for a chain that ends at nobody we trust. */
const AUTHORITY_CODES: readonly string[] = [
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'INVALID_CA',
];

/** @param way how it was tried; @param certificate the one that was refused, where it was seen */
export function networkTrouble(
  thrown: unknown,
  way: NetworkWay,
  certificate?: RefusedCertificate,
): NetworkTrouble {
  const known = foundOut(thrown);
  if (known !== undefined) {
    return known;
  }
  const code = codeOf(thrown);
  const told = (kind: TroubleKind, why: string): NetworkTrouble => ({ kind, why, ...way });
  if (AUTHORITY_CODES.includes(code)) {
    const of = certificate?.issuer === undefined ? '' : `, "${certificate.issuer}",`;
    return told('authority', `its certificate is of an authority${of} that is not trusted here`);
  }
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return told('time', `its certificate has ended${when(certificate?.validTo)}`);
    case 'CERT_NOT_YET_VALID':
      return told('time', `its certificate has not begun yet${when(certificate?.validFrom)}`);
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return told('name', `its certificate is for another name${namesIn(messageOf(thrown))}`);
  }
  const text = messageOf(thrown);
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG/.test(`${code} ${text}`)) {
    return told('not_tls', 'what listens there does not speak TLS');
  }
  if (/Invalid CA/.test(text)) {
    return told('ca', 'the certificates to trust it by cannot be used');
  }
  return told('other', troubleOf(thrown));
}

/** What the reader can do about it. */
export function troubleHint({ kind, ownCa, proxy }: NetworkTrouble): string {
  switch (kind) {
    case 'authority':
      return ownCa
        ? 'control_plane.ca_file holds another authority: give the right one with --ca-file (PIPEOPS_CA_FILE)'
        : 'If it uses a private CA, name its certificate with --ca-file (PIPEOPS_CA_FILE)';
    case 'ca':
      return 'Correct control_plane.ca_file: --ca-file (PIPEOPS_CA_FILE)';
    case 'name':
      return 'Use an address that the certificate is for';
    case 'time':
      return 'Check the clock of this machine, then the certificate of that server';
    case 'not_tls':
      return 'Check the port of the address, and that no proxy or portal answers in its place';
    case 'proxy':
      return `Check the proxy ${proxy}, and the credentials for it (HTTPS_PROXY, control_plane.proxy)`;
    case 'other':
      return proxy === ''
        ? 'Check the address, DNS, the firewall and, behind a proxy, HTTPS_PROXY'
        : `Check the address, DNS, the firewall and the proxy ${proxy}`;
  }
}

/** What a dialer has found out already. */
function foundOut(thrown: unknown): NetworkTrouble | undefined {
  return thrown instanceof Error && 'trouble' in thrown
    ? (thrown as DialError).trouble // Only dialers put this on an error.
    : undefined;
}

export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

/**
 * The names in the certificate, from the end of Node's text: "… is not in the cert's altnames:
 * DNS:example.com".
 */
function namesIn(text: string): string {
  const names = /\b(?:altnames|list): ([\w.*:, -]+)$/.exec(text)?.[1];
  return names === undefined ? '' : ` (${names})`;
}

function when(time: string | undefined): string {
  return time === undefined ? '' : ` (${time})`;
}
