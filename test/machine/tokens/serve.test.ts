/** The process behind `token create --serve`: it offers, and ends with the token. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rm, writeFile } from 'node:fs/promises';
import { cliContext } from '../../support/cli-context.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { makeCertificates, type TestCertificates } from '../../support/tls.ts';
import { until } from '../../support/until.ts';

const TOKEN = `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`;

let directory: TempDirectory;
let tls: TestCertificates;
let server: Bun.Server<undefined>;
/** What the server answers to the token. */
let status = 200;
let asked = 0;

beforeEach(async () => {
  directory = await tempDirectory();
  tls = await makeCertificates(['127.0.0.1']);
  status = 200;
  asked = 0;
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert: tls.cert, key: tls.key },
    fetch: (request) => {
      asked += 1;
      const isOurs = request.headers.get('authorization') === 'Bearer abcdef.0123456789abcdef';
      return new Response('', { status: isOurs ? status : 500 });
    },
  });
  await writeFile(`${directory.path}/agent`, 'the program');
  await writeFile(`${directory.path}/k3s`, 'the other program');
});
afterEach(async () => {
  await server.stop(true);
  await directory[Symbol.asyncDispose]();
});

async function freePort(): Promise<number> {
  const probe = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

async function putOffer(port: number): Promise<void> {
  const offer = {
    ...{ hostname: '127.0.0.1', port, certificate: tls.cert, key: tls.key },
    path: 'p'.repeat(40),
    server: `https://127.0.0.1:${server.port}`,
    ...{ ca: tls.ca, token: TOKEN, script: '#!/bin/sh\n' },
    agent: { version: '1.2.3', platform: 'linux-x64', file: `${directory.path}/agent` },
    release: { manifest: 'm', manifestSignature: 'ms', key: 'k', keySignature: 'ks' },
    k3s: {
      ...{ version: 'v1.34.4+k3s1', file: `${directory.path}/k3s`, programName: 'k3s' },
      ...{ sumsName: 'sha256sum-amd64.txt', installer: '#!/bin/sh\necho k3s\n' },
    },
  };
  await writeFile(`${directory.path}/offer`, JSON.stringify(offer));
}

const serve = () =>
  cliContext({
    root: '/',
    // It asks for the token each 10 s.
    clock: scaledClock(20),
    http: fetch,
    env: { CREDENTIALS_DIRECTORY: directory.path },
  }).run('token', 'serve');

test('offers what install.sh and join ask for, and ends when the token is taken no more', async () => {
  const port = await freePort();
  await putOffer(port);
  const served = serve();
  const get = async (path: string) => {
    const answer = await fetch(`https://127.0.0.1:${port}/${'p'.repeat(40)}${path}`, {
      tls: { ca: tls.ca },
    });
    return answer.ok ? await answer.text() : answer.status;
  };
  await until('it answers', async () => (await get('/latest')) === '1.2.3\n');
  const hash = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');
  expect([
    await get('/install.sh'),
    await get('/1.2.3/SHA256SUMS'),
    await get('/1.2.3/pipeops-agent-linux-x64'),
    await get('/1.2.3/release.json'),
    await get('/1.2.3/release.json.sig'),
    await get('/1.2.3/release-key.json'),
    await get('/1.2.3/release-key.json.sig'),
    await get('/k3s/install.sh'),
    await get('/k3s/download/v1.34.4%2Bk3s1/sha256sum-amd64.txt'),
    await get('/k3s/download/v1.34.4%2Bk3s1/k3s'),
    await get('/1.2.3/pipeops-agent-linux-arm64'),
  ]).toEqual([
    '#!/bin/sh\n',
    `${hash('the program')}  pipeops-agent-linux-x64\n`,
    'the program',
    ...['m', 'ms', 'k', 'ks'],
    '#!/bin/sh\necho k3s\n',
    `${hash('the other program')}  k3s\n`,
    'the other program',
    404,
  ]);
  status = 500; // A server in trouble says nothing of the token.
  const before = asked;
  await until('it has asked again', () => asked > before);
  expect(await get('/latest')).toBe('1.2.3\n');
  status = 401; // So does one that starts again: it refuses everybody for a moment.
  const then = asked;
  await until('it was refused', () => asked > then);
  status = 200;
  const later = asked;
  await until('it has asked once more', () => asked > later);
  expect(await get('/latest')).toBe('1.2.3\n');
  status = 401;
  expect((await served).exitCode).toBe(0);
}, 60_000);

test('ends when what it offers was uninstalled', async () => {
  const port = await freePort();
  await putOffer(port);
  const served = serve();
  await until('it has asked for the token', () => asked > 0);
  await rm(`${directory.path}/agent`);
  expect((await served).exitCode).toBe(0);
}, 60_000);

test('says who holds the port', async () => {
  const holder = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  await putOffer(holder.port);
  const ran = await serve();
  holder.stop(true);
  expect(ran.exitCode).toBe(4);
  expect(ran.stderr).toContain('[PORT_IN_USE]');
});

test('without an offer it says how one is made', async () => {
  const ran = await serve();
  expect(ran.exitCode).toBe(2);
  expect(ran.stderr).toContain('token create --serve');
});
