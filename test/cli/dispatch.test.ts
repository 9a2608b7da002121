import { afterEach, beforeEach, expect, test } from 'bun:test';
import { startProgress } from '../../src/cli/terminal/progress.ts';
import { manualClock } from '../support/manual-clock.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const HEALTH_URL = 'http://agent/api/health/detailed';
const HEALTH = {
  agent: {
    id: 'agent-1',
    version: '1.2.3',
    role: 'server',
    cluster_name: 'test',
    pid: 7,
    uptime_seconds: 90,
    memory_rss_bytes: 50 * 1024 * 1024,
  },
  ready: false,
  reasons: [{ code: 'TOKEN_REJECTED', message: 'The token is refused', hint: 'Get a new one' }],
  session: {
    phase: 'refused',
    since: '2026-01-01T00:00:00.000Z',
    control_plane: 'https://api.example',
    transport: null,
    transport_reason: null,
    down_since: '2026-01-01T00:00:00.000Z',
    next_try: null,
    last_contact: null,
    last_error: { code: 'TOKEN_REJECTED', message: 'The token is refused', hint: null },
  },
  commands: { accepted: 1, running: 0, undelivered: 2, succeeded: 3, failed: 4 },
  timestamp: '2026-01-01T00:01:30.000Z',
};

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

test('help, version and a mistake need nothing of the machine', async () => {
  expect((await machine.run(['--help'])).stdout).toContain('Usage: pipeops-agent <subcommand>');
  expect((await machine.run(['token', 'revoke', '--help'])).stdout).toContain('ID');
  expect((await machine.run(['--version'])).stdout).toBe('0.0.0-dev\n');
  expect((await machine.run(['version'])).stdout).toBe('pipeops-agent 0.0.0-dev (unknown)\n');
  const codes = [];
  for (const words of [
    ['nonsense'],
    ['tokn'],
    ['token', 'crate'],
    ['version', '--jsn'],
    ['version', '--zzzzzzzzzz'],
    ['token', 'create', '--ttl'],
    ['version', 'extra'],
    ['token', 'revoke'],
  ]) {
    const { exitCode, stderr } = await machine.run(words);
    codes.push([exitCode, /\[([A-Z_]+)\]/.exec(stderr)?.[1]]);
  }
  expect(codes).toEqual([
    [2, 'UNKNOWN_SUBCOMMAND'],
    [2, 'UNKNOWN_SUBCOMMAND'],
    [2, 'UNKNOWN_SUBCOMMAND'],
    [2, 'UNKNOWN_FLAG'],
    [2, 'UNKNOWN_FLAG'],
    [2, 'USAGE'],
    [2, 'USAGE'],
    [2, 'USAGE'],
  ]);
  expect(machine.calls).toEqual([]);
});

test('status shows one screen with what is wrong and what to do', async () => {
  machine.web.set(HEALTH_URL, () => Response.json(HEALTH));
  expect(await machine.run(['status'])).toEqual({
    exitCode: 0,
    stdout: `Agent          agent-1, version 1.2.3, role server
Running        for 1m 30s, 50 MiB, pid 7
Cluster        test
Ready          no
Session        refused since 2026-01-01T00:00:00.000Z
Control plane  https://api.example
Last contact   never
Commands       1 waiting, 0 running, 2 results to send, 3 succeeded and 4 failed since the start

The token is refused [TOKEN_REJECTED]
  hint: Get a new one
`,
    stderr: '',
  });
  expect(JSON.parse((await machine.run(['status', '--json'])).stdout)).toEqual(HEALTH);
});

test('a flag in the place of the subcommand is told where it goes', async () => {
  const { exitCode, stdout } = await machine.run(['--json', 'status']);
  expect({ exitCode, error: JSON.parse(stdout).error }).toEqual({
    exitCode: 2,
    error: {
      code: 'UNKNOWN_FLAG',
      message: 'Flags stand behind the subcommand',
      hint: 'As in: pipeops-agent status --json. See: pipeops-agent --help',
    },
  });
});

test('a word that is no typing mistake of a subcommand is not repeated: it may be a secret', async () => {
  const word = 'plain-token-0123456789';
  for (const words of [[word], ['help', word], ['token', word]]) {
    const { exitCode, stderr } = await machine.run(words);
    expect([exitCode, stderr.includes(word)]).toEqual([2, false]);
    expect(stderr).toContain('[UNKNOWN_SUBCOMMAND]');
  }
});

test('config validate says what the daemon cannot read, although root can', async () => {
  const asked: string[] = [];
  machine.programs.set('runuser', (argv) => {
    asked.push(argv.join(' '));
    return { exitCode: argv.at(-1)?.endsWith('policy.yaml') === true ? 1 : 0 };
  });
  await machine.files.makeDirectory('/etc/pipeops-agent', { mode: 0o755 });
  const write = (name: string, text: string) =>
    machine.files.writeAtomic(`/etc/pipeops-agent/${name}`, text, { mode: 0o600 });
  await write('config.yaml', 'log: {level: debug}\n');
  await write('policy.yaml', 'preset: standard\n');
  const refused = await machine.run(['config', 'validate']);
  expect([refused.exitCode, refused.stderr.split('\n').slice(0, 2)]).toEqual([
    3,
    [
      'pipeops-agent: error: The configuration has one problem:',
      '  - the agent, user pipeops-agent, may not read /etc/pipeops-agent/policy.yaml [CONFIG_INVALID]',
    ],
  ]);
  expect(asked).toEqual([
    'runuser -u pipeops-agent -- test -r /etc/pipeops-agent/config.yaml',
    'runuser -u pipeops-agent -- test -r /etc/pipeops-agent/policy.yaml',
  ]);
  // A file that is only looked at need not be the daemon's; what it names must be.
  await write('draft.yaml', 'control_plane: {ca_file: /tmp/ca.pem}\n');
  const draft = await machine.run([
    'config',
    'validate',
    '--config',
    '/etc/pipeops-agent/draft.yaml',
  ]);
  expect(draft.stderr).toContain("the agent's unit does not let it see /tmp/ca.pem");
  expect(asked.slice(2)).toEqual([]);
});

test('config show and validate read the file that --config names', async () => {
  const validate = await machine.run(['config', 'validate', '--config', '/absent.yaml']);
  expect(validate.stderr).toContain('[NOT_FOUND]');
  const usual = await machine.run(['config', 'validate']);
  expect(usual.stderr).toContain('There is no /etc/pipeops-agent/config.yaml to check [NOT_FOUND]');
  await machine.files.makeDirectory('/etc/pipeops-agent', { mode: 0o755 });
  const write = (name: string, text: string) =>
    machine.files.writeAtomic(`/etc/pipeops-agent/${name}`, text, { mode: 0o640 });
  await write('config.yaml', 'log: {level: debug}\n');
  expect((await machine.run(['config', 'validate'])).exitCode).toBe(0);
  await write('config.yaml', 'control_plane: {ca_file: /home/me/ca.pem}\n');
  await write('policy.yaml', 'preset: everything\n');
  const bad = await machine.run(['config', 'validate']);
  expect([bad.exitCode, bad.stderr.split('\n')[0]]).toEqual([
    3,
    'pipeops-agent: error: The configuration has 3 problems:',
  ]);
  expect(bad.stderr).toContain('control_plane.ca_file: there is no file /home/me/ca.pem');
  expect(bad.stderr).toContain("the agent's unit does not let it see /home/me/ca.pem");
  expect(bad.stderr).toContain('policy.yaml: preset: must be one of read-only, standard, operate');
  expect((await machine.run(['config', 'show', '--cluster-name', 'x'])).stdout).toMatch(
    /^cluster\.name +"x" {2}\(flag\)$/m,
  );
  expect((await machine.run(['config', 'show', '--no-traefik'])).stdout).toMatch(
    /^k3s\.traefik +false {2}\(flag\)$/m,
  );
});

test.each([true, false])('progress obeys nothing of a foreign text, on a terminal: %p', (isTty) => {
  const clock = manualClock('2026-01-01T00:00:00Z');
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  const evil = '\x1b]0;x\x07\u202e\n✓ done';
  const progress = startProgress({ clock }, { isTty, columns: 200, write }, `Remove ${evil}`);
  clock.advance(60_000);
  progress.update(evil);
  progress.fail(evil);
  expect(['\x07', '\u202e', '\x1b]'].filter((each) => text.includes(each))).toEqual([]);
  expect(text.split('\n').filter((line) => line.startsWith('✓'))).toEqual([]);
});

test('progress changes one line on a terminal, and prints lines elsewhere', () => {
  const show = (isTty: boolean) => {
    const clock = manualClock();
    let seen = '';
    const write = (text: string) => {
      seen += text;
    };
    const progress = startProgress({ clock }, { isTty, columns: 30, write }, 'Install k3s');
    progress.update('a line that is much longer than the terminal');
    clock.advance(12_000);
    progress.update('still at it');
    progress.done('v1.36.3');
    startProgress({ clock }, { isTty, columns: 30, write }, 'Start').fail();
    return seen;
  };
  expect(show(false)).toBe(
    '… Install k3s\n  Install k3s (12s) still at it\n✓ Install k3s: v1.36.3 (12s)\n… Start\n✗ Start (0ms)\n',
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
  expect(show(true).replaceAll(/\u001b\[3\dm|\u001b\[39m/g, '')).toBe(
    '… Install k3s' +
      '\r\u001b[2K… Install k3s (0ms) a line t…' +
      '\r\u001b[2K… Install k3s (12s) still at…' +
      '\r\u001b[2K✓ Install k3s: v1.36.3 (12s)\n' +
      '… Start\r\u001b[2K✗ Start (0ms)\n',
  );
});
