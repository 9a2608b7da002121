import { X509Certificate } from 'node:crypto';
import type { Clock, Files, Log, Random } from '../core/ports.ts';
import { type CertificateAndKey, selfSignedCertificate } from './self-signed-certificate.ts';

/** Long, because kubeconfigs name the certificate: a new one would make them useless. */
const LIFE_MS = 10 * 365 * 24 * 3_600_000;
/** A certificate that ends within this is made anew at the start. */
const RENEW_BEFORE_END_MS = 90 * 24 * 3_600_000;
/** A clock that is a little behind must not find it invalid. */
const CLOCK_SLACK_MS = 24 * 3_600_000;
const SERIAL_BYTES = 16;

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly log: Log;
}

/**
 * The certificate of a TLS listener, made at the first start and kept.
 * @param path of the file that holds certificate and key, 0600
 * @param address at which others reach it
 */
export async function localCertificate(
  deps: Deps,
  path: string,
  address = '127.0.0.1',
): Promise<CertificateAndKey> {
  const kept = readKept(await deps.files.readText(path));
  if (kept !== undefined && isUsable(deps.clock, kept.certificate, address)) {
    return kept;
  }
  const now = deps.clock.now().getTime();
  const made = selfSignedCertificate({
    commonName: 'pipeops-agent',
    dnsNames: ['localhost'],
    ipAddresses: [address],
    notBefore: new Date(now - CLOCK_SLACK_MS),
    notAfter: new Date(now + LIFE_MS),
    serial: deps.random.bytes(SERIAL_BYTES),
  });
  await deps.files.writeAtomic(path, `${made.certificate}${made.key}`, { mode: 0o600 });
  deps.log.info('made the certificate of the TLS listener', { address });
  return made;
}

function readKept(text = ''): CertificateAndKey | undefined {
  const certificate = pemIn(text, 'CERTIFICATE');
  const key = pemIn(text, 'PRIVATE KEY');
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

/** The first PEM block of this kind (RFC 7468). */
function pemIn(text: string, kind: string): string | undefined {
  const last = `-----END ${kind}-----\n`;
  const from = text.indexOf(`-----BEGIN ${kind}-----`);
  const to = text.indexOf(last, from);
  return from === -1 || to === -1 ? undefined : text.slice(from, to + last.length);
}

/** Not yet valid is one that was made while the clock was ahead. What cannot be read is made anew as well. */
function isUsable(clock: Clock, pem: string, address: string): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const now = clock.now().getTime();
    const leftMs = new Date(certificate.validTo).getTime() - now;
    const isValidLong =
      new Date(certificate.validFrom).getTime() <= now && leftMs > RENEW_BEFORE_END_MS;
    return isValidLong && certificate.checkIP(address) !== undefined;
  } catch {
    return false;
  }
}
