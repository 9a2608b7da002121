import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import type { Tls } from './fake-release.ts';

export interface Certificate extends Tls, AsyncDisposable {
  readonly certFile: string;
  /** Makes curl and wget trust it, and it alone. */
  readonly trustingEnvironment: Readonly<Record<string, string>>;
}

/** A certificate for 127.0.0.1 that signs itself. */
export async function makeCertificate(): Promise<Certificate> {
  const directory = await tempDirectory();
  const certFile = join(directory.path, 'cert.pem');
  const keyFile = join(directory.path, 'key.pem');
  const wgetrc = join(directory.path, 'wgetrc');
  const made = Bun.spawnSync(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...[
        '-nodes',
        '-days',
        '1',
        '-subj',
        '/CN=127.0.0.1',
        '-addext',
        'subjectAltName=IP:127.0.0.1',
      ],
      ...['-keyout', keyFile, '-out', certFile],
    ],
    { stderr: 'pipe' },
  );
  if (made.exitCode !== 0) {
    await directory[Symbol.asyncDispose]();
    throw new Error(`openssl cannot make a certificate: ${made.stderr}`);
  }
  await writeFile(wgetrc, `ca_certificate = ${certFile}\n`);
  return {
    cert: await readFile(certFile, 'utf8'),
    key: await readFile(keyFile, 'utf8'),
    certFile,
    trustingEnvironment: { CURL_CA_BUNDLE: certFile, WGETRC: wgetrc },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
