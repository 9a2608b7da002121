/** A support bundle of a simulated machine on which secrets of every kind lie about. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { AgentError } from '../../src/core/errors.ts';
import { PARTS } from '../../src/machine/support-bundle/contents.ts';
import { INSTALL, INSTALL_ENV } from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const BUNDLE = '/root/support.tar.gz';
const MAKE = ['support-bundle', '--output', BUNDLE, '--json'];
/** More than any attachment may have. */
const BYTES_MAX = 20_000_000;

const CONTROL_PLANE_TOKEN = 'plain-words-as-a-token';
const K3S_PASSWORD = '0123456789abcdef0123456789abcdef';
const NODE_PASSWORD = 'the-password-of-this-node';
/** Each in a text as programs write it. */
const SEEDS: readonly (readonly [secret: string, text: string])[] = [
  [CONTROL_PLANE_TOKEN, `said ${CONTROL_PLANE_TOKEN} aloud`],
  [K3S_PASSWORD, `token K10${'a'.repeat(64)}::server:${K3S_PASSWORD}`],
  [K3S_PASSWORD, `the password alone: ${K3S_PASSWORD}`],
  [NODE_PASSWORD, `node ${NODE_PASSWORD}`],
  [
    'c2lnbmF0dXJlLW9mLWl0',
    'jwt eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0',
  ],
  ['0123456789abcdef', 'bootstrap token: abcdef.0123456789abcdef'],
  ['s3cr3t-of-proxy', 'HTTPS_PROXY=http://someone:s3cr3t-of-proxy@proxy.example:3128'],
  ['hunter2hunter2', '{"password":"hunter2hunter2","user":"someone"}'],
  ['correct horse', "password: 'correct horse'"],
  ['abc123def', 'run --token abc123def --verbose'],
  ['zyx987', 'db_password=zyx987;'],
  [
    'MC4CAQAwBQYDK2VwBCIEIA',
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----',
  ],
  ['LS0tLS1CRUdJTiBFQyBQUklWQVRF', 'client-key-data: LS0tLS1CRUdJTiBFQyBQUklWQVRF'],
  ['b3Blbi1zZXNhbWU', 'Authorization: Basic b3Blbi1zZXNhbWU='],
  ['mysql-words', 'datastore-endpoint: mysql-words'],
  // Settings of k3s (docs.k3s.io, "k3s server").
  ['wJalrXUtnFEMI', 'etcd-s3-secret-key: wJalrXUtnFEMI'],
  ['kPxRfiCYEXAMPLE', 'k3s server --etcd-s3-secret-key=kPxRfiCYEXAMPLE'],
  ['tskey-auth-k123', 'vpn-auth: name=tailscale,joinKey=tskey-auth-k123'],
];

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  expect((await machine.run(INSTALL, { env: INSTALL_ENV })).exitCode).toBe(0);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

function ok(stdout: string) {
  return { exitCode: 0, stdout, stderr: '' };
}

/** Its files by name, as tar(1) sees them. */
async function unpacked(): Promise<Readonly<Record<string, string>>> {
  await using directory = await tempDirectory();
  const archive = join(directory.path, 'bundle.tar.gz');
  await Bun.write(archive, (await machine.files.readBytes(BUNDLE, BYTES_MAX)) ?? '');
  await Bun.$`tar -xzf ${archive} -C ${directory.path} && rm ${archive}`.quiet();
  const names = [...new Bun.Glob('*').scanSync(directory.path)].sort();
  const texts = names.map(async (name) => [
    name,
    await Bun.file(join(directory.path, name)).text(),
  ]);
  return Object.fromEntries(await Promise.all(texts));
}

test('it has everything that can be had, and says what could not', async () => {
  const ran = await machine.run(MAKE);
  const made = JSON.parse(ran.stdout);
  const files = await unpacked();
  const there = made.parts.filter(({ problem }: { problem: unknown }) => problem === null);
  expect({ exitCode: ran.exitCode, names: Object.keys(files) }).toEqual({
    exitCode: 0,
    names: ['README.txt', ...there.map(({ name }: { name: string }) => name)].sort(),
  });
  expect(made.parts.map(({ name }: { name: string }) => name)).toEqual(
    PARTS.map(({ name }) => name),
  );
  expect(files['agent.log']).toBe('level=info msg="k3s starts"\n');
  expect(JSON.parse(files['status.json'] ?? '')).toEqual(await machine.health());
  expect(files['README.txt']).toContain('agent.log          the journal of the agent\n');
  expect(files['README.txt']).toContain(
    'helper.jsonl       not in here: there is none on this machine\n',
  );
  expect((await machine.files.stat(BUNDLE))?.mode).toBe(0o600);
});

test('no secret is in it, whatever program or file has said it', async () => {
  const said = SEEDS.map(([, text]) => text).join('\n');
  await machine.put(
    '/var/lib/rancher/k3s/server/token',
    `K10${'a'.repeat(64)}::server:${K3S_PASSWORD}\n`,
  );
  await machine.put('/etc/rancher/node/password', `${NODE_PASSWORD}\n`);
  await machine.put('/etc/rancher/k3s/config.yaml', `${said}\n`);
  for (const program of ['journalctl', 'systemctl', 'ss', 'ip', 'dmesg', 'k3s', 'uname']) {
    machine.programs.set(program, async () => ok(said));
  }
  machine.web.set('http://agent/api/health', async () => Response.json({ said }));
  machine.programs.set('runuser', async () => ok(`${CONTROL_PLANE_TOKEN}\n`));
  expect((await machine.run(MAKE)).exitCode).toBe(0);
  const files = await unpacked();
  expect(files['agent.log']).toContain('said [redacted] aloud');
  expect(files['agent.log']).toContain('"user":"someone"');
  const told = Object.entries(files).flatMap(([name, text]) =>
    SEEDS.filter(([secret]) => text.includes(secret)).map(([secret]) => `${name}: ${secret}`),
  );
  expect(told).toEqual([]);
});

test('a secret in a YAML file is one to its end: with commas, blanks and lines of its own', async () => {
  await machine.put(
    '/etc/rancher/k3s/config.yaml',
    [
      'agent-token: some,words and blanks',
      'token: |-',
      '  in a block',
      '  of two lines',
      'token-file: /etc/token',
      'etcd:',
      '  s3-secret-key: going on',
      '    below it',
      '  bucket: backups',
      'node-label: [disk=ssd]\n',
    ].join('\n'),
  );
  await machine.run(MAKE);
  expect((await unpacked())['k3s-config.yaml']).toStartWith(
    [
      'agent-token: [redacted]',
      'token: [redacted]',
      'token-file: /etc/token',
      'etcd:',
      '  s3-secret-key: [redacted]',
      '  bucket: backups',
      'node-label: [disk=ssd]\n',
    ].join('\n'),
  );
});

test('kubectl leaves nothing behind in the home of root', async () => {
  await machine.run(MAKE);
  const asked = machine.calls.filter(({ argv }) => argv[1] === 'kubectl' && argv.includes('get'));
  const caches = asked.map(({ argv }) => argv.find((word) => word.startsWith('--cache-dir=')));
  expect(caches.slice(-3)).toEqual(
    Array.from({ length: 3 }, () => '--cache-dir=/var/lib/pipeops-agent-host/kubectl-cache'),
  );
});

test('a path, a number and an empty value behind such a name stay', async () => {
  const text =
    'token-file: /var/lib/x\ntokens: 3\npassword: ""\nsecrets: [redacted]\nthe token was renewed';
  machine.programs.set('journalctl', async () => ok(text));
  await machine.run(MAKE);
  expect((await unpacked())['agent.log']).toBe(
    'token-file: /var/lib/x\ntokens: 3\npassword: ""\nsecrets: [redacted]\nthe token was renewed\n',
  );
});

test('it is small, whatever the machine says: of a journal the newest stays, of anything else the start', async () => {
  expect(PARTS.reduce((sum, { limitBytes }) => sum + limitBytes, 0)).toBeLessThan(BYTES_MAX);
  const lines = Array.from({ length: 400_000 }, (_, index) => `line ${index}`);
  machine.programs.set('journalctl', async () => ok(lines.join('\n')));
  machine.programs.set('ss', async () => ok(lines.join('\n')));
  await machine.run(MAKE);
  const files = await unpacked();
  expect(files['agent.log']).toEndWith('line 399999\n');
  expect(files['agent.log']).toMatch(/^line \d+\n/);
  expect(files['agent.log']?.length).toBeLessThanOrEqual(4 * 1024 * 1024);
  expect(files['ports.txt']).toStartWith('line 0\n');
  expect(files['ports.txt']?.length).toBeLessThanOrEqual(256 * 1024);
});

test('a journal whose lines are too long for one program is read with fewer of them', async () => {
  machine.programs.set('journalctl', async (argv) => {
    const lines = Number(
      argv.find((word) => word.startsWith('--lines='))?.slice('--lines='.length),
    );
    if (lines > 2_000) {
      throw new AgentError('TOOL_FAILED', 'journalctl was ended', { hint: 'it said too much' });
    }
    return ok(`${lines} lines`);
  });
  await machine.run(MAKE);
  expect((await unpacked())['k3s.log']).toBe('2000 lines\n');
});

test('a machine without an agent has one as well', async () => {
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  const ran = await machine.run(MAKE);
  const parts = JSON.parse(ran.stdout).parts;
  expect(ran.exitCode).toBe(0);
  expect(parts.find(({ name }: { name: string }) => name === 'status.json')).toEqual({
    name: 'status.json',
    what: 'what the agent says of itself',
    size_bytes: 0,
    problem: 'pipeops-agent is not set up on this machine',
  });
});
