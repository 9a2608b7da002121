/** Token, trust and proxy that come, change and go while the daemon runs; it is never restarted here. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DetailedHealth, SessionAnswer } from '../../src/protocol/local-api.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const TOKEN = 'a-control-plane-token';
/** Less than the half minute after which a refused token is tried again by itself. */
const TIMEOUT_MS = 20_000;

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let daemon: RunningDaemon | undefined;
let controlPlane: ControlPlane | undefined;

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
});
afterEach(async () => {
  await daemon?.stop();
  await controlPlane?.[Symbol.asyncDispose]();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
  daemon = undefined;
  controlPlane = undefined;
});

const tokenFile = () => join(directory.path, 'credentials/control-plane-token');
const give = (token: string) => writeFile(tokenFile(), `${token}\n`);

async function start(url: string, credentials: Record<string, string>, more = ''): Promise<void> {
  const config = `http: {port: 0, tls_port: 0}\ncontrol_plane: {url: "${url}"${more}}\n`;
  daemon = await startDaemon(directory.path, { kubernetes, credentials, config });
}

async function ask(path: string): Promise<unknown> {
  return JSON.parse((await daemon?.ask(path)) ?? '');
}

const session = async () => DetailedHealth.parse(await ask('/api/health/detailed')).session;
const tryNow = async () => SessionAnswer.parse(await ask('/api/session')).phase;

const becomes = (phase: DetailedHealth['session']['phase']) =>
  waitUntil(`the session is ${phase}`, TIMEOUT_MS, async () => {
    // Until its socket is there, nothing answers.
    return (await session().catch(() => undefined))?.phase === phase;
  });

test('a daemon that finds nothing but its empty directory starts, and is standalone', async () => {
  await start('http://127.0.0.1:1', {});
  await becomes('standalone');
  const { mode } = await stat(join(directory.path, 'credentials'));
  expect((mode & 0o777).toString(8)).toBe('700');
});

test('a token that comes connects it, and one that goes makes it standalone again', async () => {
  controlPlane = startControlPlane({ token: TOKEN });
  await start(controlPlane.url, {});
  await becomes('standalone');
  await give(TOKEN);
  await becomes('connected');
  await rm(tokenFile());
  await becomes('standalone');
  expect(await session()).toMatchObject({ transport: null, down_since: null, last_error: null });
  await give(TOKEN);
  await becomes('connected');
  expect(controlPlane.store.agents()).toHaveLength(1);
});

test('what is told of a refused token is never told of the one that took its place', async () => {
  controlPlane = startControlPlane({ token: TOKEN });
  await start(controlPlane.url, { 'control-plane-token': 'not-the-token' });
  await becomes('refused');
  await give(TOKEN);
  expect(await session()).not.toMatchObject({ phase: 'refused' });
  await becomes('connected');
});

test('a token that replaces a good one is tried, and its own verdict is told', async () => {
  controlPlane = startControlPlane({ token: TOKEN });
  await start(controlPlane.url, { 'control-plane-token': TOKEN });
  await becomes('connected');
  await give('not-the-token');
  expect(await session()).not.toMatchObject({ phase: 'connected' });
  await becomes('refused');
  expect(await ask('/ready')).toMatchObject({
    ready: false,
    reasons: [{ code: 'TOKEN_REJECTED' }],
  });
});

test('asked to, it tries a token again that was refused before', async () => {
  controlPlane = startControlPlane({ token: 'another-token' });
  const { port, url } = controlPlane;
  await start(url, { 'control-plane-token': TOKEN });
  await becomes('refused');
  await controlPlane[Symbol.asyncDispose]();
  controlPlane = startControlPlane({ token: TOKEN, listen: { hostname: '127.0.0.1', port } });
  expect(await tryNow()).toBe('registering');
  await becomes('connected');
  expect(await tryNow()).toBe('connected');
});

test('another CA certificate is used at once', async () => {
  const [right, wrong] = await Promise.all([
    makeCertificates(['127.0.0.1']),
    makeCertificates(['127.0.0.1']),
  ]);
  controlPlane = startControlPlane({ token: TOKEN, tls: right });
  const caFile = join(directory.path, 'ca.pem');
  await writeFile(caFile, wrong.ca);
  await start(controlPlane.url, { 'control-plane-token': TOKEN }, `, ca_file: "${caFile}"`);
  await becomes('unreachable');
  await writeFile(caFile, right.ca);
  await becomes('connected');
  expect((await session()).phase).toBe('connected');
});

test('a file that cannot be read is told of once, and what works goes on', async () => {
  controlPlane = startControlPlane({ token: TOKEN });
  await start(controlPlane.url, { 'control-plane-token': TOKEN });
  await becomes('connected');
  await give('x'.repeat(17 * 1024));
  await tryNow();
  await tryNow();
  const lines = daemon?.log.filter((line) => line.includes('a file of the session')) ?? [];
  expect(lines.map((line) => line.includes('FILE_ACCESS'))).toEqual([true]);
  expect((await session()).phase).toBe('connected');
});
