/**
 * The certificate of the TLS listener on loopback: self-signed, so that no key exists that could
 * sign another one. Written in DER by hand: X.509 libraries bring two dozen packages for these few
 * structures (docs/decisions/0011-own-certificate.md).
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { ipRange } from '../core/ip-range.ts';

export interface CertificateAndKey {
  /** PEM; also what a client trusts. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface CertificateOptions {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Unpredictable bytes (RFC 5280 section 4.1.2.2: at most 20). */
  readonly serial: Uint8Array;
}

/** ASN.1 tags (ITU-T X.690 section 8). */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  explicit0: 0xa0,
  explicit3: 0xa3,
  /** GeneralName dNSName and iPAddress (RFC 5280 section 4.2.1.6). */
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

/** Object identifiers, encoded. */
const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  basicConstraints: [0x55, 0x1d, 0x13],
  keyUsage: [0x55, 0x1d, 0x0f],
  extendedKeyUsage: [0x55, 0x1d, 0x25],
  subjectAlternativeName: [0x55, 0x1d, 0x11],
  serverAuth: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
} as const;

/** An ECDSA P-256 key and a certificate for a TLS server with it (RFC 5280 section 4.1). */
export function selfSignedCertificate(options: CertificateOptions): CertificateAndKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const toBeSigned = tbsCertificate(options, privateKey);
  const signature = sign('sha256', toBeSigned, privateKey);
  const certificate = der(
    TAG.sequence,
    toBeSigned,
    signatureAlgorithm(),
    der(TAG.bitString, [0], signature),
  );
  return {
    certificate: pem('CERTIFICATE', certificate),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

function tbsCertificate(options: CertificateOptions, key: KeyObject): Buffer {
  const name = der(
    TAG.sequence,
    der(
      TAG.set,
      der(TAG.sequence, oid('commonName'), der(TAG.utf8String, Buffer.from(options.commonName))),
    ),
  );
  return der(
    TAG.sequence,
    der(TAG.explicit0, der(TAG.integer, [2])), // version 3
    // A positive number: the first bit is its sign.
    der(TAG.integer, [0x01], options.serial.subarray(0, 16)),
    signatureAlgorithm(),
    name,
    der(TAG.sequence, time(options.notBefore), time(options.notAfter)),
    name,
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    der(TAG.explicit3, der(TAG.sequence, ...extensions(options))),
  );
}

function extensions(options: CertificateOptions): readonly Buffer[] {
  const names = [
    ...options.dnsNames.map((name) => der(TAG.dnsName, Buffer.from(name))),
    ...options.ipAddresses.map((ip) => der(TAG.ipAddress, addressBytes(ip))),
  ];
  return [
    criticalExtension('basicConstraints', der(TAG.sequence)), // no authority
    criticalExtension('keyUsage', der(TAG.bitString, [7, 0x80])), // digitalSignature
    extension('extendedKeyUsage', der(TAG.sequence, oid('serverAuth'))),
    extension('subjectAlternativeName', der(TAG.sequence, ...names)),
  ];
}

/** 4 bytes of IPv4, 16 of IPv6 (RFC 5280 section 4.2.1.6). */
function addressBytes(text: string): Buffer {
  const { version, first } = ipRange(text) ?? { version: 4, first: 0n };
  return Buffer.from(first.toString(16).padStart(version === 4 ? 8 : 32, '0'), 'hex');
}

function extension(name: keyof typeof OID, value: Buffer): Buffer {
  return der(TAG.sequence, oid(name), der(TAG.octetString, value));
}

function criticalExtension(name: keyof typeof OID, value: Buffer): Buffer {
  return der(TAG.sequence, oid(name), der(TAG.boolean, [0xff]), der(TAG.octetString, value));
}

function signatureAlgorithm(): Buffer {
  return der(TAG.sequence, oid('ecdsaWithSha256'));
}

function oid(name: keyof typeof OID): Buffer {
  return der(TAG.oid, OID[name]);
}

/** Two digits of the year up to 2049, four from then on (RFC 5280 section 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = `${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050
    ? der(TAG.utcTime, Buffer.from(digits.slice(2)))
    : der(TAG.generalizedTime, Buffer.from(digits));
}

/** Tag, length, content. */
function der(tag: number, ...parts: readonly (Uint8Array | readonly number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): readonly number[] {
  if (length < 0x80) {
    return [length];
  }
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
