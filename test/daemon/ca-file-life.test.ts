/** The whole daemon with a CA file that is missing, wrong and at last right: it says which, and needs no restart. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ReadyAnswer } from '../../src/protocol/local-api.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates, type TestCertificates } from '../support/tls.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const TOKEN = 'a-control-plane-token';
const TIMEOUT_MS = 20_000;

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let tls: TestCertificates;
let controlPlane: ControlPlane;
let daemon: RunningDaemon;
let caFile: string;

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  tls = await makeCertificates(['127.0.0.1']);
  controlPlane = startControlPlane({
    token: TOKEN,
    tls,
    listen: { hostname: '127.0.0.1', port: 0 },
    databasePath: join(directory.path, 'control-plane.db'),
  });
  caFile = join(directory.path, 'ca.pem');
  const control = `control_plane: {url: "${controlPlane.url}", ca_file: ${caFile}}\n`;
  daemon = await startDaemon(directory.path, {
    kubernetes,
    credentials: { 'control-plane-token': TOKEN },
    config: `agent: {id: agent-1}\nhttp: {port: 0, tls_port: 0}\n${control}`,
  });
});

afterEach(async () => {
  await daemon.stop();
  await controlPlane[Symbol.asyncDispose]();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

/** Waits until the daemon gives this as a reason why it is not ready; '' is none of the session's. */
async function says(message: string): Promise<void> {
  await waitUntil(`the daemon says "${message}"`, TIMEOUT_MS, async () => {
    const { reasons } = ReadyAnswer.parse(JSON.parse(await daemon.ask('/ready')));
    const text = reasons.map((reason) => `${reason.message} ${reason.hint}`).join('\n');
    return message === '' ? !text.includes('no session') : text.includes(message);
  });
}

/** In one step, as root replaces a file. */
async function putCa(pem: string): Promise<void> {
  await writeFile(`${caFile}.new`, pem);
  await rename(`${caFile}.new`, caFile);
}

test('a CA file that is missing is named, and one that comes is taken up', async () => {
  await says(`there is no file ${caFile}`);
  await putCa('-----BEGIN NOTHING-----\n');
  await says(`there is no certificate (PEM) in ${caFile}`);
  await putCa(tls.ca);
  await says('');
  await rm(caFile);
  await says(`there is no file ${caFile}`);
  expect(daemon.log.filter((line) => line.includes(TOKEN))).toEqual([]);
});

test('a CA file of another authority is told as that, with the setting that names it', async () => {
  await putCa((await makeCertificates(['127.0.0.1'])).ca);
  await says('certificate');
  await says('control_plane.ca_file holds another authority');
  await putCa(tls.ca);
  await says('');
  expect(daemon.log.filter((line) => line.includes(TOKEN))).toEqual([]);
});
