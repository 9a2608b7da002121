import { expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { selfSignedCertificate } from '../../src/server/self-signed-certificate.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const OPTIONS = {
  commonName: 'pipeops-agent',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2051-12-31T23:59:59Z'),
  serial: Uint8Array.from({ length: 16 }, (_, index) => 0xf0 + index),
};

test('the certificate says what it was made for', () => {
  const { certificate, key } = selfSignedCertificate(OPTIONS);
  const parsed = new X509Certificate(certificate);
  expect({
    subject: parsed.subject,
    issuer: parsed.issuer,
    names: parsed.subjectAltName,
    from: new Date(parsed.validFrom).toISOString(),
    to: new Date(parsed.validTo).toISOString(),
    authority: parsed.ca,
    usage: parsed.keyUsage,
    serial: parsed.serialNumber,
    signedByItself: parsed.verify(parsed.publicKey),
  }).toEqual({
    subject: 'CN=pipeops-agent',
    issuer: 'CN=pipeops-agent',
    names: 'DNS:localhost, IP Address:127.0.0.1',
    from: '2026-01-01T00:00:00.000Z',
    to: '2051-12-31T23:59:59.000Z',
    authority: false,
    usage: ['1.3.6.1.5.5.7.3.1'],
    serial: '01F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF',
    signedByItself: true,
  });
  expect(key).toStartWith('-----BEGIN PRIVATE KEY-----\n');
});

test('openssl takes it, and finds no mistake in its encoding', async () => {
  await using directory = await tempDirectory();
  const path = `${directory.path}/certificate.pem`;
  await Bun.write(path, selfSignedCertificate(OPTIONS).certificate);
  const verify = Bun.spawnSync(['openssl', 'verify', '-x509_strict', '-CAfile', path, path]);
  expect(verify.stdout.toString()).toBe(`${path}: OK\n`);
});

test('a client that trusts it connects, and one that does not refuses', async () => {
  const { certificate, key } = selfSignedCertificate(OPTIONS);
  const server = createServer({ cert: certificate, key }, (_, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const url = `https://127.0.0.1:${port}/`;
    expect(await (await fetch(url, { tls: { ca: certificate } })).text()).toBe('hello');
    const other = selfSignedCertificate(OPTIONS).certificate;
    await expect(fetch(url, { tls: { ca: other } })).rejects.toThrow();
    await expect(fetch(url)).rejects.toThrow();
  } finally {
    server.close();
  }
});

test('it is for addresses of IPv6 as well, and only for those named', () => {
  const { certificate } = selfSignedCertificate({
    commonName: 'pipeops-agent',
    dnsNames: [],
    ipAddresses: ['fd00::5'],
    notBefore: new Date(0),
    notAfter: new Date(1e12),
    serial: new Uint8Array(16),
  });
  const made = new X509Certificate(certificate);
  expect([made.checkIP('fd00::5'), made.checkIP('fd00::6')]).toEqual(['fd00::5', undefined]);
});
