/** A dry run tells what the same command without it then runs and writes: on a simulated machine. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { INSTALL, INSTALL_ENV, JOIN, JOIN_TOKEN } from '../support/installation.ts';
import {
  CONTROL_PLANE_TOKEN,
  type Ran,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

interface Step {
  readonly changes: readonly { readonly target: string; readonly diff?: string }[];
  readonly commands: readonly (readonly string[])[];
}

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const run = (words: readonly string[]) =>
  machine.run(words, { env: INSTALL_ENV, ...(words[0] === 'join' ? { stdin: JOIN_TOKEN } : {}) });

const stepsOf = ({ stdout }: Ran) => (JSON.parse(stdout) as { plan: readonly Step[] }).plan;
const commandsOf = (ran: Ran) =>
  stepsOf(ran).flatMap(({ commands }) => commands.map((argv) => argv.join(' ')));
const diffOf = (ran: Ran, path: string) =>
  stepsOf(ran)
    .flatMap(({ changes }) => changes)
    .find(({ target }) => target === path)?.diff;

/** Questions, which change nothing. */
const ASKS: readonly RegExp[] = [
  /^systemctl (is-|show|list)/,
  /^(ip -json|ufw status|firewall-cmd --(list|get)|nft --json list|journalctl)/,
  /^\S*k3s (--version|kubectl (--kubeconfig=\S+ )?(get|diff) )/,
  /^runuser .*(test|cmp) /,
];

async function ranBy(words: readonly string[]): Promise<readonly string[]> {
  const before = machine.calls.length;
  expect((await run(words)).exitCode).toBe(0);
  return machine.calls
    .slice(before)
    .map(({ argv }) => argv.join(' '))
    .filter((line) => !ASKS.some((each) => each.test(line)));
}

test.each([
  ['install', INSTALL],
  ['join', JOIN],
])('%s: what is run is what its plan says, in order', async (_, words) => {
  const planned = commandsOf(await run([...words, '--dry-run']));
  expect(await ranBy(words)).toEqual(planned);
  expect(commandsOf(await run([...words, '--dry-run']))).toEqual([]);
});

test('install: what another setting changes in a file is shown, and what it runs', async () => {
  await run(INSTALL);
  const words = [...INSTALL, '--log-level', 'debug', '--traefik'];
  const planned = await run([...words, '--dry-run']);
  const before = (await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? '';
  expect(diffOf(planned, '/etc/pipeops-agent/config.yaml')).toStartWith(
    '--- /etc/pipeops-agent/config.yaml\n+++ /etc/pipeops-agent/config.yaml\n@@ ',
  );
  const k3s = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
  expect(diffOf(planned, k3s)).toContain('\n-disable: ["traefik"]\n');
  expect(await machine.files.readText('/etc/pipeops-agent/config.yaml')).toBe(before);
  expect(await ranBy(words)).toEqual(commandsOf(planned));
  const after = (await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? '';
  const added = after.split('\n').filter((line) => !before.split('\n').includes(line));
  const shown = diffOf(planned, '/etc/pipeops-agent/config.yaml') ?? '';
  expect(shown.split('\n').filter((line) => /^\+[^+]/.test(line))).toEqual(
    added.map((line) => `+${line}`),
  );
});

test('a plan shows no secret: neither of a file that is there nor of what would be written', async () => {
  const path = '/etc/rancher/k3s/registries.yaml';
  const login = 'configs:\n  "old.test":\n    auth:\n      password: of-the-registry\n';
  await machine.put(path, login);
  const proxy = { HTTPS_PROXY: 'http://user:of-the-proxy@proxy.test:3128' };
  const words = ['install', '--token-file', '/root/token', '--cluster-name', 'test', '--dry-run'];
  const mirror = ['--registry-mirror', 'https://mirror.test'];
  machine.web.set('https://mirror.test', () => new Response(''));
  for (const json of [[], ['--json']]) {
    const env = { ...INSTALL_ENV, ...proxy };
    const ran = await machine.run([...words, ...mirror, ...json], { env });
    const said = ran.stdout + ran.stderr;
    expect(said).toContain('[redacted]');
    expect(said).toContain('https://mirror.test');
    for (const secret of ['of-the-registry', 'of-the-proxy', CONTROL_PLANE_TOKEN]) {
      expect(said).not.toContain(secret);
    }
  }
});

test('without --json a person reads the commands and the diffs behind the list of steps', async () => {
  const { stdout } = await run(['install', '--cluster-name', 'test', '--dry-run']);
  expect(stdout).toContain('\nCommands, in order:\n  install -m 0755 /root/agent ');
  expect(stdout).toContain('\n  systemctl enable --quiet k3s.service\n');
  expect(stdout).toContain(
    '\n--- /dev/null\n+++ /etc/pipeops-agent/policy.yaml\n@@ -0,0 +1,3 @@\n',
  );
});

test('uninstall: what is run is in its plan, but for what clears away what then still runs', async () => {
  await machine.put('/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml', 'of: a person\n');
  await run(INSTALL);
  const planned = await run(['uninstall', '--dry-run', '--json']);
  const ran = await ranBy(['uninstall', '--yes', '--json']);
  expect(ran).toEqual(expect.arrayContaining([...commandsOf(planned)]));
  expect(diffOf(planned, '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml')).toContain(
    '\n+of: a person\n',
  );
});
