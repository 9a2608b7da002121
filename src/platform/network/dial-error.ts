import {
  codeOf,
  type DialError,
  networkTrouble,
  type RefusedCertificate,
} from '../../core/network-trouble.ts';
import { type ProxyServer, proxyFor } from '../../core/proxy-settings.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import { troubleOf } from '../../core/trouble.ts';
import type { DialOptions } from './dial-options.ts';

/** A certificate as Node and Bun show it (node:tls, "Certificate object"), as far as it is used. */
interface PeerCertificate {
  readonly issuer?: { readonly CN?: unknown; readonly O?: unknown };
  readonly valid_from?: string;
  readonly valid_to?: string;
}

/** The end of a TLS handshake, with the certificate that was not accepted. */
export function handshakeError(
  error: Error | null | undefined,
  certificate: PeerCertificate | undefined,
): Error {
  const refused: RefusedCertificate = {
    issuer: certificate?.issuer && nameOf(certificate.issuer),
    validFrom: certificate?.valid_from,
    validTo: certificate?.valid_to,
  };
  return Object.assign(error ?? new Error('TLS failed'), { refused });
}

/** The error of a dialer, with what it means in words. */
export function dialError(thrown: unknown, address: URL, options: DialOptions): DialError {
  const proxied = proxyFor(address, options.proxy) !== undefined;
  const way = { ownCa: options.ca !== undefined, proxy: proxied ? options.proxy.url : '' };
  const trouble = networkTrouble(thrown, way, refusedOf(thrown));
  const cause = thrown instanceof Error ? thrown : new Error(troubleOf(thrown));
  return Object.assign(new Error(trouble.why, { cause }), { code: codeOf(thrown), trouble });
}

/** Nothing reached the server: the error is about the proxy in front of it. */
export function proxyError(
  thrown: unknown,
  { host, port }: ProxyServer,
  options: DialOptions,
): DialError {
  const way = { ownCa: options.ca !== undefined, proxy: options.proxy.url };
  const seen = networkTrouble(thrown, way, refusedOf(thrown));
  const at = hostAndPort(host, port);
  const kind = seen.kind === 'other' ? 'proxy' : seen.kind;
  const why = `the proxy ${at} cannot be reached: ${seen.why}`;
  return Object.assign(new Error(why, { cause: thrown }), {
    code: codeOf(thrown),
    trouble: { ...seen, kind, why },
  });
}

/** The proxy took the connection but does not pass it on: its error says so by itself. */
export function proxyAnswerError(thrown: unknown, options: DialOptions): DialError {
  const why = troubleOf(thrown);
  const way = { ownCa: options.ca !== undefined, proxy: options.proxy.url };
  return Object.assign(new Error(why, { cause: thrown }), {
    code: codeOf(thrown),
    trouble: { kind: 'proxy', why, ...way } as const,
  });
}

function refusedOf(thrown: unknown): RefusedCertificate | undefined {
  return thrown instanceof Error && 'refused' in thrown
    ? (thrown.refused as RefusedCertificate) // Put there by `handshakeError`.
    : undefined;
}

/** Characters of a foreign name. */
const NAME_LENGTH_MAX = 128;

/** Of an issuer, for a terminal and a log: one line of printable characters. */
export function nameOf({ CN, O }: NonNullable<PeerCertificate['issuer']>): string | undefined {
  const name = [CN, O].find((part) => typeof part === 'string' && part !== '');
  return name === undefined
    ? undefined
    : String(name)
        .slice(0, NAME_LENGTH_MAX)
        .replace(/[^\x20-\x7e]/g, '?');
}
