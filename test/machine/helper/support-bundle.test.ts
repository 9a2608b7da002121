/** Root's helper makes a support bundle for the control plane, which never leaves the machine. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { HandedConnection } from '../../../src/core/ports.ts';
import { MadeSupportBundle } from '../../../src/protocol/helper.ts';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

const DIRECTORY = '/var/lib/pipeops-agent-host/support-bundles';
const TOKEN_FILE = '/var/lib/pipeops-agent/credentials/control-plane-token';
const BYTES_MAX = 20_000_000;

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  expect((await machine.run(INSTALL, { env: INSTALL_ENV })).exitCode).toBe(0);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

async function ask(commandId: string) {
  const answers: Record<string, unknown>[] = [];
  const request = { verb: 'support_bundle', command_id: commandId };
  const connection: HandedConnection = {
    peer: () => ({ pid: 1, uid: 0 }),
    readLine: async () => JSON.stringify(request),
    write: async (text) => void answers.push(JSON.parse(text)),
  };
  expect((await machine.run(['helper', 'serve'], { connection })).exitCode).toBe(0);
  return answers;
}

async function made(commandId: string): Promise<MadeSupportBundle> {
  return MadeSupportBundle.parse((await ask(commandId)).at(-1)?.['data']);
}

async function textOf(path: string): Promise<string> {
  await using directory = await tempDirectory();
  const archive = join(directory.path, 'bundle.tar.gz');
  await Bun.write(archive, (await machine.files.readBytes(path, BYTES_MAX)) ?? '');
  return await Bun.$`tar -xzOf ${archive}`.text();
}

test('a bundle is made for root alone, and its name, size and hash are told', async () => {
  const answers = await ask('command-1');
  const { name, path, created, ...rest } = MadeSupportBundle.parse(answers.at(-1)?.['data']);
  const bytes = (await machine.files.readBytes(path, BYTES_MAX)) ?? new Uint8Array();
  expect(rest).toEqual({
    bytes: bytes.length,
    sha256: new Bun.CryptoHasher('sha256').update(bytes).digest('hex'),
    node: 'node-1',
  });
  expect(name).toMatch(/^support-[-0-9T]+Z-[0-9a-f]{12}$/);
  expect(path).toBe(`${DIRECTORY}/${name}.tar.gz`);
  expect(Math.abs(Date.now() - Date.parse(created))).toBeLessThan(60_000);
  expect((await machine.files.stat(path))?.mode).toBe(0o600);
  expect((await machine.files.stat(DIRECTORY))?.mode).toBe(0o700);
  expect(answers).toContainEqual({ progress: 'the journal of the agent' });
});

test('a command that runs again is answered with the bundle that it has made', async () => {
  const first = await made('command-1');
  expect(await made('command-1')).toEqual(first);
  expect(await machine.files.list(DIRECTORY)).toEqual([`${first.name}.tar.gz`]);
});

test('the newest three are kept, and what a killed process has left goes', async () => {
  for (const hour of ['01', '02', '03']) {
    await machine.put(`${DIRECTORY}/support-2026-01-01T${hour}-00-00Z-0123456789ab.tar.gz`, 'old');
  }
  await machine.put(`${DIRECTORY}/support-2026-01-01T04-00-00Z-0123456789ab.tar.gz.12.tmp`, 'half');
  const { name } = await made('command-1');
  expect(await machine.files.list(DIRECTORY)).toEqual([
    'support-2026-01-01T02-00-00Z-0123456789ab.tar.gz',
    'support-2026-01-01T03-00-00Z-0123456789ab.tar.gz',
    `${name}.tar.gz`,
  ]);
});

test('the token of the control plane is not in it, although the helper can become nobody else', async () => {
  await machine.put(TOKEN_FILE, 'plain-words-as-a-token\n');
  machine.programs.set('runuser', async () => ({ exitCode: 1, stdout: '', stderr: 'not here' }));
  machine.programs.set('journalctl', async () => ({
    exitCode: 0,
    stdout: 'said plain-words-as-a-token aloud',
    stderr: '',
  }));
  const text = await textOf((await made('command-1')).path);
  expect(text).toContain('said [redacted] aloud');
  expect(text).not.toContain('plain-words-as-a-token');
});

test('of a token of any length, and of the one before it, nothing is left', async () => {
  const long = (word: string) => `${word}-`.repeat(1_500);
  await machine.put(TOKEN_FILE, long('present'));
  const trial = { v: 1, before: long('earlier'), tried_sha256: '' };
  await machine.put(`${TOKEN_FILE}.trial`, JSON.stringify(trial));
  machine.programs.set('journalctl', async () => ({
    ...{ exitCode: 0, stderr: '' },
    stdout: `said ${long('present')} and ${long('earlier')} aloud`,
  }));
  expect(await textOf((await made('command-1')).path)).toContain(
    'said [redacted] and [redacted] aloud',
  );
});

test('checks that the walls of the helper would fool are not made', async () => {
  const text = await textOf((await made('command-1')).path);
  const ids = [...text.matchAll(/"id": "([-a-z0-9]+)"/g)].map(([, id]) => id);
  expect(ids).toContain('k3s-certificates');
  expect(ids).not.toContain('downloads');
  expect(ids).not.toContain('kernel-log');
});

test('root can refuse it', async () => {
  await machine.put('/etc/pipeops-agent/policy.yaml', 'host: { support_bundle: deny }\n', 0o640);
  expect(await ask('command-1')).toMatchObject([
    { error: { code: 'POLICY_DENIED', details: { rule: 'file/host.support_bundle' } } },
  ]);
  expect(await machine.files.list(DIRECTORY)).toEqual([]);
});
