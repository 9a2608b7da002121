/** A certificate authority for one test run, and a server certificate of it: made by openssl. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificates {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** @param hosts addresses and names that the server certificate is for */
export async function makeCertificates(hosts: readonly string[]): Promise<TestCertificates> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-test-tls-'));
  try {
    const at = (name: string) => join(directory, name);
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await openssl([
      ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=Test CA'],
      ...['-keyout', at('ca.key'), '-out', at('ca.crt')],
    ]);
    await openssl([
      ...['req', ...newKey, '-subj', '/CN=test server'],
      ...['-keyout', at('server.key'), '-out', at('server.csr')],
    ]);
    const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
    await writeFile(at('extensions'), `subjectAltName=${names}\n`);
    await openssl([
      ...['x509', '-req', '-in', at('server.csr'), '-days', '2', '-CAcreateserial'],
      ...['-CA', at('ca.crt'), '-CAkey', at('ca.key')],
      ...['-extfile', at('extensions'), '-out', at('server.crt')],
    ]);
    return {
      ca: await readFile(at('ca.crt'), 'utf8'),
      cert: await readFile(at('server.crt'), 'utf8'),
      key: await readFile(at('server.key'), 'utf8'),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export interface TestChain {
  /** PEM of the certificates, as k3s keeps them: the one that signs first, the root last. */
  readonly chain: readonly string[];
  /** A server certificate for 127.0.0.1 of the first of them. */
  readonly cert: string;
  readonly key: string;
}

/** A chain of authorities as companies have them, of RSA with 4096 bits. All share one key: it is slow to make. */
export async function makeChain(length: number): Promise<TestChain> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-test-chain-'));
  const at = (name: string) => join(directory, name);
  const key = at('key');
  const issue = async (name: string, issuer: string, extensions: string) => {
    await writeFile(at('extensions'), extensions);
    await openssl(['req', '-new', '-key', key, '-subj', `/CN=${name}`, '-out', at('csr')]);
    const by = issuer === name ? ['-signkey', key] : ['-CA', at(issuer), '-CAkey', key];
    await openssl([
      ...['x509', '-req', '-in', at('csr'), '-days', '2', ...by, '-CAcreateserial'],
      ...['-extfile', at('extensions'), '-out', at(name)],
    ]);
    return readFile(at(name), 'utf8');
  };
  try {
    await openssl(['genrsa', '-out', key, '4096']);
    const chain: string[] = [];
    for (let level = 0; level < length; level += 1) {
      const issuer = `authority-${Math.max(0, level - 1)}`;
      chain.unshift(
        await issue(`authority-${level}`, issuer, 'basicConstraints=critical,CA:TRUE\n'),
      );
    }
    const cert = await issue('server', `authority-${length - 1}`, 'subjectAltName=IP:127.0.0.1\n');
    return { chain, cert, key: await readFile(key, 'utf8') };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  const child = Bun.spawn(['openssl', ...args], { stdout: 'ignore', stderr: 'pipe' });
  const stderr = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) {
    throw new Error(`openssl ${args[0]} failed: ${stderr}`);
  }
}
