/** Root's helper brings another version of the agent, whatever the daemon has put there. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { gzipSync } from 'bun';
import type { HandedConnection } from '../../../src/core/ports.ts';
import { BUILD } from '../../../src/core/version.ts';
import { writeSignedRelease } from '../../../src/host/release/signed-files.ts';
import type { HelperRequest } from '../../../src/protocol/helper.ts';
import { setUp } from '../../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';
import { listed, signedRelease, type TestKeys, testKeys } from '../../support/test-release.ts';

const OLD = BUILD.version;
const NEW = '9.9.9';
const NAME = 'pipeops-agent-linux-x64';
const PROGRAM = 'the new program';
const STAGED = '/var/lib/pipeops-agent/staged-release';
const HOST_STATE = '/var/lib/pipeops-agent-host';
const POLICY = '/etc/pipeops-agent/policy.yaml';
const placeOf = (version: string) => `/opt/pipeops-agent/${version}/pipeops-agent`;
const DAY_MS = 86_400_000;

let keys: TestKeys;
let machine: SimulatedMachine;
let started: string[];

beforeAll(async () => {
  keys = await testKeys(new Date());
});
afterAll(async () => await keys[Symbol.asyncDispose]());

beforeEach(async () => {
  machine = await simulatedMachine();
  started = [];
  expect((await setUp(machine, 'install')).exitCode).toBe(0);
  machine.programs.set('systemd-run', (argv) => {
    const version = argv.find((word) => word.startsWith('/opt/pipeops-agent/'))?.split('/')[3];
    return { stdout: JSON.stringify({ version, store: 'good', config: null }) };
  });
  machine.programs.set('systemctl', (argv) => {
    if (argv[1] === 'start') {
      started.push(argv.at(-1) ?? '');
    }
    return undefined as never; // And what systemctl does as ever.
  });
});
afterEach(() => machine[Symbol.asyncDispose]());

/** As a daemon does that may have been taken over. */
async function stage(
  content: Readonly<Record<string, unknown>> = {},
  packed: Uint8Array = gzipSync(new TextEncoder().encode(PROGRAM)),
): Promise<void> {
  const time = (days: number) =>
    new Date(Date.now() + days * DAY_MS).toISOString().replace(/\.\d+Z/, 'Z');
  const signed = await signedRelease(keys, {
    ...{ version: NEW, channel: 'stable', released: time(-1), expires: time(10) },
    ...{ min_version: '0.0.0-a', programs: [listed(NAME, PROGRAM)] },
    ...{ files: [listed(`${NAME}.gz`, packed)], ...content },
  });
  await machine.files.makeDirectory(STAGED, { mode: 0o700 });
  await writeSignedRelease(machine.files, STAGED, signed);
  await machine.files.writeAtomic(`${STAGED}/${NEW}-${NAME}.gz`, packed, { mode: 0o600 });
}

async function serve(request: HelperRequest, options: { signal?: AbortSignal } = {}) {
  const answers: Record<string, unknown>[] = [];
  const connection: HandedConnection = {
    peer: () => ({ pid: 1, uid: 0 }),
    readLine: async () => JSON.stringify(request),
    write: async (text) => void answers.push(JSON.parse(text)),
  };
  const { exitCode } = await machine.run(['helper', 'serve'], {
    ...{ connection, releaseKeys: keys.keys, ...options },
  });
  return { exitCode, answer: answers.at(-1) };
}

async function ask(request: HelperRequest, options: { signal?: AbortSignal } = {}) {
  const { exitCode, answer } = await serve(request, options);
  expect(exitCode).toBe(0);
  return answer;
}

const upgrade = (version = NEW) => ask({ verb: 'upgrade_agent', command_id: 'command-1', version });
const outcome = (commandId = 'command-1') =>
  ask({ verb: 'upgrade_outcome', command_id: commandId });

test('a signed version is put in its place, tried, and handed to the unit that changes to it', async () => {
  await stage();
  expect(await upgrade()).toEqual({ data: { state: 'under_way', from: OLD, to: NEW } });
  expect(await machine.files.readText(placeOf(NEW))).toBe(PROGRAM);
  expect((await machine.files.stat(placeOf(NEW)))?.mode).toBe(0o755);
  expect(started).toEqual(['pipeops-agent-upgrade.service']);
  const record = JSON.parse((await machine.files.readText(`${HOST_STATE}/upgrade.json`)) ?? '');
  expect(record).toMatchObject({
    ...{ kind: 'upgrade', from: OLD, to: NEW, step: 'switch', command_id: 'command-1' },
  });
  // The command that asks again is told how far it is, and nothing is done twice.
  expect(await upgrade()).toEqual({ data: { state: 'under_way', from: OLD, to: NEW } });
  expect(started).toHaveLength(1);
  expect([await outcome(), await outcome('command-2')]).toEqual([
    { data: { state: 'under_way', from: OLD, to: NEW } },
    { data: { state: 'none' } },
  ]);
});

test('killed anywhere, what was noted goes on at the next start of the machine', async () => {
  const record = `${HOST_STATE}/upgrade.json`;
  const watcher = 'pipeops-agent-upgrade.service';
  const noted: boolean[] = [];
  for (let change = 1, isOver = false; !isOver; change += 1) {
    await machine.files.remove(record);
    machine.enabled.delete(watcher);
    await stage();
    machine.killAt(change);
    const { answer } = await serve({
      ...{ verb: 'upgrade_agent', command_id: 'command-1', version: NEW },
    });
    isOver = answer?.['data'] !== undefined;
    const isNoted = (await machine.files.stat(record)) !== undefined;
    expect({ change, goesOn: machine.enabled.has(watcher) || !isNoted }).toEqual({
      ...{ change, goesOn: true },
    });
    noted.push(isNoted);
  }
  expect(new Set(noted)).toEqual(new Set([false, true]));
});

test('how it ended is told to the command that asked for it', async () => {
  const change = { v: 1, id: '0123456789abcdef', kind: 'upgrade', from: OLD, to: NEW };
  const rest = { outcome: 'went-back', why: 'it does not answer', at: '2026-01-01T00:00:00.000Z' };
  await machine.put(
    `${HOST_STATE}/upgrade-result.json`,
    JSON.stringify({ ...change, ...rest, took_ms: 12, command_id: 'command-1' }),
  );
  const { outcome: how, why } = rest;
  const told = { state: 'ended', outcome: how, from: OLD, to: NEW, why, took_ms: 12 };
  expect([await outcome(), await upgrade(), await outcome('command-2')]).toEqual([
    { data: told },
    { data: told },
    { data: { state: 'none' } },
  ]);
});

test.each([
  [
    'a release of others',
    async () => {
      await using others = await testKeys(new Date());
      const ours = keys;
      keys = others;
      await stage();
      keys = ours;
    },
    'RELEASE_UNTRUSTED',
  ],
  [
    'another program than the signed one',
    () => stage({}, gzipSync(new TextEncoder().encode('other'))),
    'RELEASE_UNTRUSTED',
  ],
  ['one that cannot follow this one', () => stage({ min_version: '9.0.0' }), 'RELEASE_REFUSED'],
  ['another version than it names', () => stage({ version: '9.9.8' }), 'RELEASE_REFUSED'],
  ['nothing at all', async () => undefined, 'NOT_FOUND'],
  [
    'a link to a directory',
    async () => {
      await stage();
      await machine.files.remove(`${STAGED}/release.json`);
      await machine.files.link('/etc', `${STAGED}/release.json`);
    },
    'FILE_ACCESS',
  ],
])('%s changes nothing', async (_, given, code) => {
  await given();
  expect(await upgrade()).toMatchObject({ error: { code } });
  expect(started).toEqual([]);
  expect(await machine.files.stat(placeOf(NEW))).toBeUndefined();
  expect(await machine.files.stat(`${HOST_STATE}/upgrade.json`)).toBeUndefined();
});

test('an older version is refused, however well it is signed', async () => {
  await stage({ version: '0.0.0-b' });
  expect(await upgrade('0.0.0-b')).toMatchObject({
    error: { code: 'RELEASE_REFUSED', message: `0.0.0-b is older than ${OLD}, which is here` },
  });
});

test('a pinned or paused machine keeps its version', async () => {
  await stage();
  const hold = async (...words: readonly string[]) =>
    (await machine.run(['upgrade', ...words])).stdout;
  expect(await hold('--pin', OLD)).toBe(`Upgrades: pinned to ${OLD}\n`);
  expect(await upgrade()).toMatchObject({
    error: { code: 'UPGRADE_HELD', message: `This machine is pinned to ${OLD}` },
  });
  expect(await hold('--unpin', '--pause', '7d')).toMatch(/^Upgrades: paused .* until 20\S+Z\n$/);
  expect(await upgrade()).toMatchObject({ error: { code: 'UPGRADE_HELD' } });
  expect(started).toEqual([]);
  expect(await hold('--pause', '0s')).toBe('Upgrades: neither pinned nor paused\n');
  expect(await upgrade()).toMatchObject({ data: { state: 'under_way' } });
});

test.each([
  ['host: {upgrade_agent: deny}', 'POLICY_DENIED'],
  ['host: {upgrade_agent: ask}', 'APPROVAL_NEEDED'],
  ['preset: read-only', 'POLICY_DENIED'],
  ['commands: {deny: [upgrade_agent]}', 'POLICY_DENIED'],
])('root decides: %s', async (policy, code) => {
  await stage();
  await machine.put(POLICY, `${policy}\n`, 0o640);
  expect(await upgrade()).toMatchObject({ error: { code } });
  expect(started).toEqual([]);
});
