/** `config show` tells what is in force beside what is written, and never a wish as a fact. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { settingValues } from '../../../src/config/describe.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { K3S_CONFIG_FILE, K3S_EXECUTABLE } from '../../../src/core/k3s-places.ts';
import { placesOf } from '../../../src/core/places.ts';
import type { Http } from '../../../src/core/ports.ts';
import { serverConfig } from '../../../src/host/k3s/config.ts';
import type { SettingRow } from '../../../src/machine/settings-in-force.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { type CliRun, cliContext } from '../../support/cli-context.ts';

const { configFile, k3sRestartFile, unitFile } = placesOf();

const INSTALLED = 'v1.36.3+k3s1';
const VERSION = { [`${K3S_EXECUTABLE} --version`]: { stdout: `k3s version ${INSTALLED} (abc)\n` } };
const STOPPED = {
  'systemctl show --property=ActiveState --value pipeops-agent.service': { stdout: 'inactive' },
};

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

const settingsOf = (fileText: string) => {
  const named = { fileText, filePath: configFile, hostname: 'node-1' };
  return loadConfig({ flags: {}, env: {}, ...named }).config;
};

/** The daemon that was started with a file of this text. */
const daemonOf =
  (text: string): Http =>
  async () =>
    Response.json({ settings: settingValues(settingsOf(text)) });
const noDaemon: Http = () =>
  Promise.reject(Object.assign(new Error('nobody listens'), { code: 'ENOENT' }));

/** Installs k3s with a file of this text. */
async function installed(text: string): Promise<void> {
  await machine.put(configFile, text);
  await machine.put(unitFile, '');
  await machine.put(K3S_EXECUTABLE, '');
  const told = serverConfig(settingsOf(text).k3s);
  const lines = Object.entries(told).map(([flag, value]) => `${flag}: ${JSON.stringify(value)}`);
  await machine.put(K3S_CONFIG_FILE, `${lines.join('\n')}\n`);
}

function show(
  http: Http,
  words: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun> {
  const programs = { ...VERSION, ...STOPPED };
  return cliContext({ root: machine.path, http, env, programs }).run('config', 'show', ...words);
}

/** The rows that are not simply in force or without a word. */
async function notes(...args: Parameters<typeof show>): Promise<Record<string, unknown>> {
  const [http, words = [], env] = args;
  const { stdout } = await show(http, [...words, '--json'], env);
  const { settings } = JSON.parse(stdout) as { settings: SettingRow[] };
  const odd = settings.filter(({ in_force, note }) => in_force !== true || note !== null);
  return Object.fromEntries(odd.map(({ setting, in_force, note }) => [setting, [in_force, note]]));
}

const VERSION_IN_FORCE = { 'k3s.version': [true, `installed: ${INSTALLED}`] };
/** What is used only at an installation. */
const AT_INSTALLATION = {
  'k3s.mirror': [null, null],
  'k3s.proxy': [null, 'used where a proxy is named: HTTPS_PROXY'],
  'k3s.registry_mirrors': [null, null],
  'k3s.server_address': [null, null],
};

test('what the agent and k3s were started with is in force', async () => {
  const file = 'k3s: {traefik: true, node_labels: [a=1, b=2], node_ip: [10.0.0.1]}\n';
  await installed(file);
  expect(await notes(daemonOf(file))).toEqual({ ...VERSION_IN_FORCE, ...AT_INSTALLATION });
});

test('what several servers need is in force once k3s was told, with the fixed address', async () => {
  const file = 'k3s: {ha: true, tls_san: [k8s.example.com], server_address: 10.0.0.9}\n';
  await installed(file);
  expect(await notes(daemonOf(file))).toEqual({
    ...VERSION_IN_FORCE,
    ...AT_INSTALLATION,
    'k3s.server_address': [null, 'named by new join tokens'],
  });
  const more = 'k3s: {ha: true, tls_san: [k8s.example.com, other], server_address: 10.0.0.9}\n';
  await machine.put(configFile, more);
  expect((await notes(daemonOf(more)))['k3s.tls_san']).toEqual([
    false,
    'not in force: k3s was told ["k8s.example.com","10.0.0.9"]',
  ]);
});

test('another version of k3s than the installed one is a wish', async () => {
  await installed('k3s: {version: v1.30.0+k3s1}\n');
  expect(await notes(daemonOf('k3s: {version: v1.30.0+k3s1}\n'))).toEqual({
    ...AT_INSTALLATION,
    'k3s.version': [false, `not in force; installed: ${INSTALLED}`],
  });
});

test('what was written into the file since the start comes after the next one', async () => {
  await installed('');
  await machine.put(configFile, 'log: {level: debug}\nk3s: {traefik: true, node_name: web}\n');
  expect(await notes(daemonOf(''))).toEqual({
    ...VERSION_IN_FORCE,
    ...AT_INSTALLATION,
    'log.level': [false, 'after the next start: sudo systemctl restart pipeops-agent; now "info"'],
    'k3s.traefik': [false, 'not in force: k3s was told false'],
    'k3s.node_name': [false, 'not in force: k3s was told nothing'],
  });
});

test('what other files tell k3s counts as k3s reads it: the later one, and "+" adds', async () => {
  await installed('k3s: {node_name: web, node_labels: [a=1]}\n');
  const besides = '/etc/rancher/k3s/config.yaml.d';
  await machine.put('/etc/rancher/k3s/config.yaml', 'node-name: earlier\nnode-ip: 10.0.0.9\n');
  await machine.put(`${besides}/40-early.yaml`, 'node-label: [b=2]\ndisable: []\n');
  await machine.put(`${besides}/60-late.yaml`, 'node-label+: [c=3]\n');
  await machine.put(`${besides}/70-late.yml`, 'node-name: late\n');
  await machine.put(`${besides}/80-note.txt`, 'node-name: note\n');
  const file = 'k3s: {node_name: web, node_labels: [a=1]}\n';
  expect(await notes(daemonOf(file))).toEqual({
    ...VERSION_IN_FORCE,
    ...AT_INSTALLATION,
    'k3s.node_name': [false, `not in force: k3s was told "late" by ${besides}/70-late.yml`],
    'k3s.node_labels': [
      false,
      `not in force: k3s was told ["a=1","c=3"] by ${besides}/60-late.yaml`,
    ],
    'k3s.node_ip': [
      false,
      'not in force: k3s was told ["10.0.0.9"] by /etc/rancher/k3s/config.yaml',
    ],
  });
});

test('a file that k3s could not read either makes what it was told unknown', async () => {
  await installed('');
  const path = '/etc/rancher/k3s/config.yaml.d/90-broken.yaml';
  await machine.put(path, 'node-label: [\n');
  expect((await notes(daemonOf('')))['k3s.traefik']).toEqual([
    null,
    expect.stringContaining(`k3s could not read ${path}: `),
  ]);
});

test('flags and variables of the command itself are not in force', async () => {
  await installed('');
  const env = { CLUSTER_NAME: 'dream', K3S_VERSION: 'v1.30.0+k3s1' };
  const wish = '; to set it, give it to "install" or "join"';
  expect(await notes(daemonOf(''), ['--port', '9090', '--traefik'], env)).toEqual({
    ...AT_INSTALLATION,
    'cluster.name': [false, `not in force: the agent runs with "node-1"${wish}`],
    'http.port': [false, `not in force: the agent runs with 8080${wish}`],
    'k3s.traefik': [false, `not in force: k3s was told false${wish}`],
    'k3s.version': [false, `not in force; installed: ${INSTALLED}`],
  });
});

test('what k3s reads at its next start is not in force yet', async () => {
  await installed('');
  await machine.put(k3sRestartFile, '');
  expect((await notes(daemonOf('')))['k3s.traefik']).toEqual([
    false,
    'when k3s starts again: sudo pipeops-agent install',
  ]);
});

test('while the agent does not run nothing of its own is called in force', async () => {
  await installed('');
  const { 'log.level': level, 'cluster.name': name } = await notes(noDaemon, [
    ...['--cluster-name', 'dream'],
  ]);
  expect([level, name]).toEqual([
    [null, 'The agent is stopped'],
    [false, 'the agent would not start with it; to set it, give it to "install" or "join"'],
  ]);
  const { stdout, stderr } = await show(noDaemon);
  expect(stderr).toBe('\nWhat is in force is not known: The agent is stopped\n');
  expect(stdout).not.toContain('The agent is stopped');
});

test('a worker has no name of a cluster, and nothing else of a server', async () => {
  const file = 'agent: {role: node}\n';
  await installed(file);
  const { stdout } = await show(daemonOf(file), ['--json']);
  const rows = (JSON.parse(stdout) as { settings: SettingRow[] }).settings;
  expect(rows.find(({ setting }) => setting === 'cluster.name')).toEqual({
    setting: 'cluster.name',
    value: null,
    source: 'default',
    in_force: null,
    note: 'of the first server only; this machine has joined one',
  });
  expect(
    rows.filter(({ note }) => note?.includes('has joined')).map(({ setting }) => setting),
  ).toEqual([
    ...['agent.id', 'cluster.name', 'control_plane.url', 'control_plane.transport'],
    ...['control_plane.allow_insecure', 'http.tls_port', 'k3s.traefik'],
    ...['k3s.ha', 'k3s.cluster_cidr', 'k3s.service_cidr', 'k3s.tls_san', 'k3s.server_address'],
    ...['snapshots.every', 'snapshots.keep', 'snapshots.keep_for', 'snapshots.copy_to'],
    ...['snapshots.s3_endpoint', 'snapshots.s3_bucket', 'snapshots.s3_region'],
    'snapshots.s3_credentials_file',
  ]);
});

test('on a bare machine it says that nothing is installed', async () => {
  const { exitCode, stdout, stderr } = await show(noDaemon);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^k3s\.version +- {2}\(default; k3s is not installed\)$/m);
  expect(stdout).toMatch(/^k3s\.traefik +false {2}\(default\)$/m);
  expect(stderr).toContain('pipeops-agent is not set up on this machine');
});

test('keys that are not known are shown beside the settings, and do not touch them', async () => {
  const text = 'http: {port: 9090}\nlog:\n  levl: debug\n';
  await installed(text);
  const warning = 'line 3: log.levl: is not a setting and is ignored, did you mean "log.level"?';
  const shown = await show(daemonOf(text));
  expect([shown.exitCode, shown.stderr]).toEqual([
    0,
    `\n${configFile} has keys that are not known here:\n  - ${warning}\n`,
  ]);
  expect(shown.stdout).toMatch(/^http\.port +9090 {2}\(file\)$/m);
  const { warnings, settings } = JSON.parse((await show(daemonOf(text), ['--json'])).stdout);
  expect([warnings, settings.length]).toEqual([
    [warning],
    Object.keys(settingValues(settingsOf(''))).length,
  ]);
});
