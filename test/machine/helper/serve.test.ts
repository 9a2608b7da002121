/** Root's helper on a machine that was set up: who may ask, for what, and what root finds noted. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { HandedConnection, Peer } from '../../../src/core/ports.ts';
import { decodeJoinToken } from '../../../src/protocol/secrets/join-token.ts';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const JOURNAL = '/var/lib/pipeops-agent-host/helper.jsonl';
const OTHER = '/var/lib/pipeops-agent-host/helper-other.jsonl';
const POLICY = '/etc/pipeops-agent/policy.yaml';
const DAEMON: Peer = { pid: 4_711, uid: 998 };

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  expect(await machine.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
  const passwd = (await machine.files.readText('/etc/passwd')) ?? '';
  await machine.put(
    '/etc/passwd',
    passwd.replace(/^pipeops-agent:x:\d+:/m, 'pipeops-agent:x:998:'),
  );
});
afterEach(() => machine[Symbol.asyncDispose]());

/** Runs `helper serve` for one connection. */
async function ask(line: string | undefined, peer: Peer | null = DAEMON) {
  const answers: unknown[] = [];
  const connection: HandedConnection = {
    peer: () => peer ?? undefined,
    readLine: async () => line,
    write: async (text) => void answers.push(JSON.parse(text)),
  };
  const ran = await machine.run(['helper', 'serve'], { connection });
  expect([ran.exitCode, ran.stdout]).toEqual([0, '']);
  return answers;
}

async function noted(path: string): Promise<readonly Record<string, unknown>[]> {
  const text = await machine.files.readText(path);
  const lines = (text ?? '').split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const { at, ms, ...rest } = JSON.parse(line);
    expect([typeof at, ms === undefined || ms >= 0]).toEqual(['string', true]);
    return rest;
  });
}

const mint = (fields: object = {}) =>
  JSON.stringify({
    verb: 'mint_join_token',
    command_id: 'command-1',
    role: 'agent',
    ttl_seconds: 900,
    ...fields,
  });

test.each([
  ['somebody else', { pid: 5, uid: 1_000 }],
  ['nobody whom the kernel knows', null],
])('%s gets nothing, and is noted', async (_, peer) => {
  const before = machine.calls.length;
  expect(await ask(mint(), peer)).toEqual([
    {
      error: {
        code: 'NOT_ROOT',
        message: 'Only root and the agent may ask the helper',
        hint: 'Run the subcommand with sudo instead: pipeops-agent --help',
      },
    },
  ]);
  expect(machine.calls.slice(before)).toEqual([]);
  expect([await noted(JOURNAL), await noted(OTHER)]).toEqual([
    [],
    [{ ...peer, outcome: 'NOT_ROOT' }],
  ]);
});

test('a join token is refused until root allows it, and one of a server until root allows that', async () => {
  expect(await ask(mint())).toEqual([
    {
      error: {
        code: 'POLICY_DENIED',
        message: 'The local policy does not allow "join_token"',
        hint: expect.stringContaining('by "host: {join_token: allow}" in a policy'),
        details: { rule: 'standard/host.join_token' },
      },
    },
  ]);
  await machine.put(POLICY, 'preset: standard\nhost: { join_token: allow }\n', 0o640);
  expect(await ask(mint({ role: 'server' }))).toMatchObject([
    { error: { code: 'POLICY_DENIED', details: { rule: 'standard/host.server_token' } } },
  ]);
  const [answer] = await ask(mint());
  expect(answer).toEqual({
    data: {
      token: expect.stringMatching(/^pj1\./),
      id: 'abcdef',
      role: 'agent',
      expires: expect.any(String),
      servers: ['https://10.0.0.1:6443'],
    },
  });
  const { token } = (answer as { data: { token: string } }).data;
  expect(decodeJoinToken(token)).toMatchObject({ role: 'agent' });
  const who = { uid: 998, pid: 4_711, verb: 'mint_join_token', command_id: 'command-1' };
  expect([await noted(JOURNAL), await noted(OTHER)]).toEqual([
    [
      { ...who, outcome: 'begun' },
      { ...who, outcome: 'done' },
    ],
    [
      { ...who, outcome: 'POLICY_DENIED' },
      { ...who, outcome: 'POLICY_DENIED' },
    ],
  ]);
  expect(await machine.files.readText(JOURNAL)).not.toContain(token);
  expect((await machine.files.stat(JOURNAL))?.mode).toBe(0o600);
});

test('outside of its windows nothing is done, whoever asks', async () => {
  const day = new Date(Date.now() + 2 * 86_400_000).toUTCString().slice(0, 3).toLowerCase();
  const policy = `host: {join_token: allow}\nwindows: {join_token: ["${day} 00:00-23:59"]}\n`;
  await machine.put(POLICY, policy, 0o640);
  const before = machine.calls.length;
  expect(await ask(mint())).toEqual([
    {
      error: {
        code: 'OUTSIDE_WINDOW',
        message: `"join_token" has its time: ${day} 00:00-23:59`,
        hint: expect.stringContaining('"windows" in the policy'),
      },
    },
  ]);
  expect(machine.calls.slice(before)).toEqual([]);
});

test('where root wants to be asked, it waits for a yes, which is for this request and one time', async () => {
  await machine.put(POLICY, 'host: { join_token: ask }\n', 0o640);
  const [first] = await ask(mint());
  expect(first).toEqual({
    error: {
      code: 'APPROVAL_NEEDED',
      message: expect.stringMatching(/must approve it: [0-9a-f]{8}$/),
      hint: expect.stringContaining('sudo pipeops-agent host approve '),
      details: { id: expect.any(String) },
    },
  });
  const { id } = (first as { error: { details: { id: string } } }).error.details;
  expect(await ask(mint())).toEqual([first]);
  const shown = await machine.run(['host', 'asked']);
  expect(shown.stdout).toContain('waits');
  expect(shown.stdout).toContain(
    'mint_join_token: role agent, ttl_seconds 900, command_id "command-1"',
  );
  expect((await machine.files.stat('/var/lib/pipeops-agent-host/asked.json'))?.mode).toBe(0o600);

  expect(await machine.run(['host', 'approve', id])).toMatchObject({ exitCode: 0 });
  const longer = await ask(mint({ ttl_seconds: 901 }));
  expect(longer).toMatchObject([{ error: { code: 'APPROVAL_NEEDED' } }]);
  expect(await ask(mint())).toMatchObject([{ data: { role: 'agent' } }]);
  expect(await ask(mint())).toMatchObject([{ error: { code: 'APPROVAL_NEEDED' } }]);
});

test('where root wants to be asked on another server, it waits although the file here allows it', async () => {
  await machine.put(POLICY, 'host: { join_token: allow, snapshot: deny }\n', 0o640);
  const line = mint({ ask: true });
  const id = await askedId(line);
  const approved = await machine.run(['host', 'approve', id]);
  expect(approved.stderr).toStartWith(
    'You have approved: mint_join_token: role agent, ttl_seconds 900, command_id "command-1"',
  );
  expect(await ask(line)).toMatchObject([{ data: { role: 'agent' } }]);
  expect(await ask(line)).toMatchObject([{ error: { code: 'APPROVAL_NEEDED' } }]);
  // It only adds to what the file says.
  expect(await ask('{"verb":"snapshot","command_id":"c","ask":true}')).toMatchObject([
    { error: { code: 'POLICY_DENIED' } },
  ]);
  expect(await ask(mint({ ask: false }))).toMatchObject([{ error: { code: 'USAGE' } }]);
});

/** What a person has to say yes or no to. */
async function askedId(line: string): Promise<string> {
  const [answer] = await ask(line);
  return (answer as { error: { details: { id: string } } }).error.details.id;
}

test('a yes is for one time, however many ask at once', async () => {
  await machine.put(POLICY, 'host: { join_token: ask }\n', 0o640);
  await machine.run(['host', 'approve', await askedId(mint())]);
  const answers = await Promise.all([ask(mint()), ask(mint()), ask(mint())]);
  expect(answers.flat().filter((each) => Object.hasOwn(each as object, 'data'))).toHaveLength(1);
});

test('a decision is kept, whatever else is asked in the same moment', async () => {
  await machine.put(POLICY, 'host: { join_token: ask }\n', 0o640);
  const first = await askedId(mint());
  const others = ['command-2', 'command-3'].map((id) => mint({ command_id: id }));
  const decided = machine.run(['host', 'refuse', first]);
  await Promise.all([decided, ...others.map((line) => ask(line))]);
  expect(await ask(mint())).toMatchObject([{ error: { code: 'POLICY_DENIED' } }]);
  const { asked } = JSON.parse((await machine.run(['host', 'asked', '--json'])).stdout);
  expect(asked).toHaveLength(3);
});

test('what a command calls itself does not hide from a person what it is', async () => {
  await machine.put(POLICY, 'host: { server_token: ask }\n', 0o640);
  const id = await askedId(
    mint({ command_id: `x, role agent, ttl_seconds 60${' '.repeat(90)}`, role: 'server' }),
  );
  const shown = await machine.run(['host', 'approve', id]);
  expect(shown.stderr).toStartWith(
    'You have approved: mint_join_token: role server, ttl_seconds 900, command_id "x, role agent',
  );
});

test('what root refuses stays refused, and what nobody asked for cannot be approved', async () => {
  await machine.put(POLICY, 'host: { server_token: ask }\n', 0o640);
  const id = await askedId(mint({ role: 'server' }));
  expect(await machine.run(['host', 'refuse', id])).toMatchObject({ exitCode: 0 });
  expect(await ask(mint({ role: 'server' }))).toMatchObject([{ error: { code: 'POLICY_DENIED' } }]);
  expect(await ask(mint())).toMatchObject([
    { error: { details: { rule: 'standard/host.join_token' } } },
  ]);
  expect(await machine.run(['host', 'approve', 'ffffffff'])).toMatchObject({ exitCode: 8 });
});

test('whoever asks for ever more is told to wait', async () => {
  await machine.put(POLICY, 'host: { snapshot: ask }\n', 0o640);
  for (let index = 0; index < 50; index += 1) {
    await ask(JSON.stringify({ verb: 'snapshot', command_id: `command-${index}` }));
  }
  expect(await ask('{"verb":"snapshot","command_id":"one-more"}')).toMatchObject([
    { error: { code: 'BUSY' } },
  ]);
});

test('a policy that cannot be used refuses', async () => {
  await machine.put(POLICY, 'preset: standard\nhost: { join_token: maybe }\n', 0o640);
  expect(await ask(mint())).toMatchObject([{ error: { code: 'POLICY_INVALID' } }]);
});

test.each([
  ['an unknown verb', JSON.stringify({ verb: 'run', argv: ['sh'] })],
  ['a field that the verb does not have', mint({ servers: ['https://evil.test'] })],
  ['a time that is too long', mint({ ttl_seconds: 31_536_000 })],
  ['a command id that would break a line', mint({ command_id: 'a\nb' })],
  ['what is no JSON', 'mint_join_token'],
  ['nothing at all', undefined],
])('%s is refused and runs nothing', async (_, line) => {
  await machine.put(POLICY, 'host: { join_token: allow, server_token: allow }\n', 0o640);
  const before = machine.calls.length;
  expect(await ask(line)).toMatchObject([{ error: { code: 'USAGE' } }]);
  expect(machine.calls.slice(before)).toEqual([]);
  expect([await noted(JOURNAL), await noted(OTHER)]).toEqual([
    [],
    [{ uid: 998, pid: 4_711, outcome: 'USAGE' }],
  ]);
});

test('root hears of certificates that end, which the daemon cannot see', async () => {
  expect(await ask('{"verb":"host_facts"}')).toEqual([
    { data: { findings: [], k3s: { restart: null, authority_ends: null } } },
  ]);
});

test('it notes how full the disks are, once an hour and for two weeks at most', async () => {
  const file = '/var/lib/pipeops-agent-host/disk-samples.json';
  const samples = async () => (await machine.json(file))['samples'] as readonly object[];
  await ask('{"verb":"host_facts"}');
  await ask('{"verb":"host_facts"}');
  expect(await samples()).toEqual([
    {
      at: expect.any(String),
      disks: [{ path: '/var/lib/rancher', used: expect.any(Number), total: expect.any(Number) }],
    },
  ]);
  const [one] = await samples();
  const hours = (from: number, count: number) =>
    Array.from({ length: count }, (_, hour) => ({
      ...one,
      at: new Date(Date.now() - (from - hour) * 3_600_000).toISOString(),
    }));
  await machine.put(file, JSON.stringify({ v: 1, samples: hours(336, 336) }));
  await ask('{"verb":"host_facts"}');
  expect((await samples()).length).toBe(336);
  // Noted while the clock was ahead.
  await machine.put(file, JSON.stringify({ v: 1, samples: hours(-100, 2) }));
  await ask('{"verb":"host_facts"}');
  expect((await samples()).length).toBe(1);
  await machine.put(file, 'damaged');
  await ask('{"verb":"host_facts"}');
  expect((await samples()).length).toBe(1);
});

const TOO_LONG = 'x'.repeat(1024 * 1024 + 1);

test('a journal that is too long is kept, however many note something at once', async () => {
  await machine.put(OTHER, TOO_LONG);
  await Promise.all([1, 2, 3, 4].map(() => ask('{"verb":"host_facts"}')));
  expect(await noted(OTHER)).toHaveLength(8);
  expect((await machine.files.stat(`${OTHER}.1`))?.size).toBe(TOO_LONG.length);
});

test('the journal begins anew before it is too long, and the one before is kept', async () => {
  await machine.put(JOURNAL, TOO_LONG);
  await machine.put(POLICY, 'host: { join_token: allow }\n', 0o640);
  await ask(mint());
  expect(await noted(JOURNAL)).toMatchObject([{ outcome: 'begun' }, { outcome: 'done' }]);
  expect((await machine.files.stat(`${JOURNAL}.1`))?.size).toBe(TOO_LONG.length);
});

test('what changes nothing pushes out nothing of what the helper did', async () => {
  await machine.put(POLICY, 'host: { snapshot: deny, join_token: ask }\n', 0o640);
  await machine.put(JOURNAL, TOO_LONG);
  for (const line of [
    '{"verb":"host_facts"}',
    '{"verb":"snapshot","command_id":"command-1"}',
    mint(),
    mint({ role: 'server' }),
    'no request',
  ]) {
    await ask(line);
  }
  expect(await machine.files.readText(JOURNAL, TOO_LONG.length)).toBe(TOO_LONG);
  const who = { uid: 998, pid: 4_711 };
  const minted = { ...who, verb: 'mint_join_token', command_id: 'command-1' };
  expect(await noted(OTHER)).toEqual([
    { ...who, verb: 'host_facts', outcome: 'begun' },
    { ...who, verb: 'host_facts', outcome: 'done' },
    { ...who, verb: 'snapshot', command_id: 'command-1', outcome: 'POLICY_DENIED' },
    { ...minted, outcome: 'APPROVAL_NEEDED' },
    { ...minted, outcome: 'POLICY_DENIED' },
    { ...who, outcome: 'USAGE' },
  ]);
});
