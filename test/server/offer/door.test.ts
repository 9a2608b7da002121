/** What a server offers to machines that join: whole files to who knows the path, nothing to others. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import type { Files } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import type { Offered } from '../../../src/server/offer/answer.ts';
import { offerDoor } from '../../../src/server/offer/door.ts';
import { selfSignedCertificate } from '../../../src/server/self-signed-certificate.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { atRest, until } from '../../support/until.ts';

const KEY = 'k'.repeat(40);
const HOUR_MS = 3_600_000;
const PROGRAM_BYTES = 5_000_000;
const LARGE_BYTES = 300_000_000;
/** What the kernel keeps for both ends of a connection on loopback, and a piece. */
const READ_AHEAD_BYTES_MAX = 16 * 1024 * 1024;

let directory: TempDirectory;
let stop: AbortController;
let done: Promise<void>;
let base: string;
let ca: string;
let port: number;
let program: Uint8Array;
/** Of all files that are offered. */
let read: { bytes: number };

beforeEach(async () => {
  directory = await tempDirectory();
  stop = new AbortController();
  program = new Uint8Array(PROGRAM_BYTES).map((_, index) => (index * 7) % 251);
  await writeFile(`${directory.path}/program`, program);
  const certificate = selfSignedCertificate({
    ...{ commonName: 'offer', dnsNames: [], ipAddresses: ['127.0.0.1'] },
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    serial: new Uint8Array(16).fill(7),
  });
  ca = certificate.certificate;
  const entries = new Map<string, Offered>([
    ['/latest', { text: '1.2.3\n' }],
    ['/1.2.3/program', { file: `${directory.path}/program`, sizeBytes: PROGRAM_BYTES }],
    ['/large', { file: `${directory.path}/large`, sizeBytes: LARGE_BYTES }],
    ['/damaged', { file: `${directory.path}/damaged`, sizeBytes: PROGRAM_BYTES }],
    ['/k3s/v1.34.4+k3s1', { text: 'with a plus' }],
  ]);
  read = { bytes: 0 };
  const deps = { clock: systemClock, files: countingReads(systemFiles('/'), read) };
  const door = offerDoor(deps, {
    ...{ hostname: '127.0.0.1', port: 0, certificate, key: KEY, entries },
  });
  port = door.port;
  base = `https://127.0.0.1:${port}`;
  done = door.serveUntil(stop.signal);
});
afterEach(async () => {
  stop.abort();
  await done;
  await directory[Symbol.asyncDispose]();
});

function countingReads(files: Files, counted: { bytes: number }): Files {
  const openFile = async (path: string) => {
    const file = await files.openFile(path);
    return file === undefined
      ? undefined
      : {
          ...file,
          read: async (offset: number, lengthBytes: number) => {
            const bytes = await file.read(offset, lengthBytes);
            counted.bytes += bytes.length;
            if (path.endsWith('/damaged') && offset > 0) {
              throw new Error('EIO: i/o error, read');
            }
            return bytes;
          },
        };
  };
  return { ...files, openFile };
}

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`${base}${path}`, { tls: { ca }, ...init });

test('gives texts and whole files to who knows the path', async () => {
  expect(await (await ask(`/${KEY}/latest`)).text()).toBe('1.2.3\n');
  expect(await (await ask(`/${KEY}/k3s/v1.34.4%2Bk3s1`)).text()).toBe('with a plus');
  const answer = await ask(`/${KEY}/1.2.3/program`);
  expect(answer.headers.get('content-length')).toBe(String(PROGRAM_BYTES));
  expect(Bun.deepEquals(new Uint8Array(await answer.arrayBuffer()), program)).toBe(true);
});

test.each([
  ['another path', `/${'x'.repeat(40)}/latest`, 'GET'],
  ['no path', '/latest', 'GET'],
  ['nothing', '/', 'GET'],
  ['what is not there', `/${KEY}/etc/passwd`, 'GET'],
  ['a way out', `/${KEY}/../${KEY}x/latest`, 'GET'],
  ['an escaped slash', `/${KEY}%2Flatest`, 'GET'],
  ['a broken escape', `/${KEY}/%zz`, 'GET'],
  ['a write', `/${KEY}/latest`, 'PUT'],
])('who asks for %s is told nothing', async (_, path, method) => {
  const answer = await ask(path, { method });
  expect({ status: answer.status, body: await answer.text() }).toEqual({ status: 404, body: '' });
});

test.each([
  ['a body that never comes', 'Content-Length: 10'],
  ['chunks that never come', 'Transfer-Encoding: chunked'],
  ['another protocol', 'Connection: Upgrade\r\nUpgrade: websocket'],
])('who announces %s is refused at once, and holds no place', async (_, header) => {
  const socket = connect({ port, host: '127.0.0.1', ca });
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes;
  });
  socket.write(`GET /${KEY}/latest HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
  await until('there is an answer', () => answer.includes('\r\n\r\n'));
  expect(answer.split('\r\n')[0]).toBe('HTTP/1.1 400 Refused');
  socket.destroy();
});

test('curl and wget take it by the hash of its key, and from nobody else', async () => {
  const spki = new X509Certificate(ca).publicKey.export({ format: 'der', type: 'spki' });
  const pin = new Bun.CryptoHasher('sha256').update(spki).digest('base64');
  const other = new Bun.CryptoHasher('sha256').update('another key').digest('base64');
  const run = async (argv: readonly string[]) => {
    const child = Bun.spawn([...argv], { stdout: 'pipe', stderr: 'ignore' });
    const stdout = await child.stdout.text();
    return { isDone: (await child.exited) === 0, stdout };
  };
  const url = `${base}/${KEY}/latest`;
  const curl = ['curl', '-fsSLk', '--noproxy', '*', '--pinnedpubkey'];
  const wget = ['wget', '-qO-', '--tries=1', '--no-proxy', '--no-check-certificate'];
  expect([
    await run([...curl, `sha256//${pin}`, url]),
    await run([...curl, `sha256//${other}`, url]),
    await run([...wget, `--pinnedpubkey=sha256//${pin}`, url]),
    await run([...wget, `--pinnedpubkey=sha256//${other}`, url]),
  ]).toEqual([
    { isDone: true, stdout: '1.2.3\n' },
    { isDone: false, stdout: '' },
    { isDone: true, stdout: '1.2.3\n' },
    { isDone: false, stdout: '' },
  ]);
});

test('a file that is another now is not given, and one that shrinks is broken off', async () => {
  const answer = await ask(`/${KEY}/1.2.3/program`);
  await truncate(`${directory.path}/program`, 1_000_000);
  expect(
    await answer.arrayBuffer().then(
      () => 'whole',
      () => 'broken off',
    ),
  ).toBe('broken off');
  expect((await ask(`/${KEY}/1.2.3/program`)).status).toBe(404);
});

test('a file that the disk no longer gives is broken off, and the others go on', async () => {
  await writeFile(`${directory.path}/damaged`, program);
  const answer = await ask(`/${KEY}/damaged`);
  await expect(answer.arrayBuffer()).rejects.toThrow();
  expect(await (await ask(`/${KEY}/latest`)).text()).toBe('1.2.3\n');
});

test('for whoever takes nothing only a little is read ahead, and others are not held up', async () => {
  await writeFile(`${directory.path}/large`, '');
  await truncate(`${directory.path}/large`, LARGE_BYTES);
  const slow = connect({ port, host: '127.0.0.1', ca });
  slow.pause();
  slow.write(`GET /${KEY}/large HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until('it is being read', () => read.bytes > 0);
  const ahead = await atRest(() => read.bytes);
  expect(ahead).toBeLessThan(READ_AHEAD_BYTES_MAX);
  for (let index = 0; index < 10; index += 1) {
    expect((await (await ask(`/${KEY}/1.2.3/program`)).arrayBuffer()).byteLength).toBe(
      PROGRAM_BYTES,
    );
  }
  slow.destroy();
});

test('more connections than it has room for are ended, and the others go on', async () => {
  const sockets = Array.from({ length: 80 }, () => connect({ port, host: '127.0.0.1', ca }));
  let closed = 0;
  for (const socket of sockets) {
    socket
      .on('error', () => undefined)
      .on('close', () => {
        closed += 1;
      });
  }
  await until('those beyond 64 are closed', () => closed >= 16);
  const alive = sockets.find((socket) => !socket.destroyed);
  let answer = '';
  alive?.on('data', (bytes) => {
    answer += bytes;
  });
  alive?.write(`GET /${KEY}/latest HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until('one of them is answered', () => answer.endsWith('1.2.3\n'));
  expect(sockets.filter((socket) => !socket.destroyed).length).toBeLessThanOrEqual(64);
  for (const socket of sockets) {
    socket.destroy();
  }
});
