/** What a server's certificate says, also when it is not trusted. */
import { type DetailedPeerCertificate, rootCertificates, type TLSSocket } from 'node:tls';
import type { RefusedCertificate } from '../../core/network-trouble.ts';
import type { ShownCertificate } from '../../core/probe.ts';
import { nameOf } from './dial-error.ts';

/** Certificates of one chain that are looked at. */
const CHAIN_LENGTH_MAX = 16;

/** The chain does not lead to an authority that is trusted, or is for something else. */
export class RefusedChain extends Error {
  readonly code: string;
  readonly refused: RefusedCertificate;

  constructor(code: string, message: string, refused: RefusedCertificate) {
    super(message);
    this.code = code;
    this.refused = refused;
  }
}

export interface ShownChain {
  readonly certificate: ShownCertificate;
  /** Undefined where it is trusted. */
  readonly refusal: RefusedChain | undefined;
}

/** @param socket on which TLS is agreed, with whomever */
export function shownChain(socket: TLSSocket): ShownChain {
  const shown = socket.getPeerCertificate(true);
  const issuer = nameOf(shown.issuer) ?? 'somebody without a name';
  const certificate = { issuer, isPublic: isPublic(rootOf(shown)) };
  if (socket.authorized) {
    return { certificate, refusal: undefined };
  }
  const code = String(socket.authorizationError);
  const names = shown.subjectaltname ?? '';
  const refused = { issuer, validFrom: shown.valid_from, validTo: shown.valid_to };
  return {
    certificate,
    refusal: new RefusedChain(code, `it is not in the cert's altnames: ${names}`, refused),
  };
}

/** The last of the chain, as far as it is known. */
function rootOf(leaf: DetailedPeerCertificate): DetailedPeerCertificate {
  let root = leaf;
  for (let length = 1; length < CHAIN_LENGTH_MAX; length += 1) {
    const next = root.issuerCertificate as DetailedPeerCertificate | undefined;
    if (next?.raw === undefined || next.fingerprint256 === root.fingerprint256) {
      break;
    }
    root = next;
  }
  return root;
}

/** Whether it is one of the authorities that the runtime brings with it: those of the browsers. */
function isPublic({ raw }: DetailedPeerCertificate): boolean {
  const text = raw.toString('base64');
  return rootCertificates.some((pem) => pem.replaceAll(/-----[^-]+-----|\s/g, '') === text);
}
