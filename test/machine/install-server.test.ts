/** `install` asks a control plane that really runs, before it changes anything. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { type BareMachine, bareMachine } from '../support/bare-machine.ts';
import { type CliRun, cliContext, maybeChanging } from '../support/cli-context.ts';
import { startControlPlane } from '../support/control-plane/control-plane.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { errorOf } from '../support/installation.ts';
import { makeCertificates } from '../support/tls.ts';

const TOKEN = 'the-token-of-the-control-plane';
const INSTALL = ['install', '--token-file', '/root/token', '--json'];
/** All that the checks ask of systemd. */
/** What `--dry-run` asks besides. */
const K3S_STATE = 'systemctl show --property=ActiveState,Job k3s.service';
const K3S_ACTIVE = 'systemctl show --property=ActiveState --value k3s.service';

let machine: BareMachine;
let before: Readonly<Record<string, string>>;

beforeEach(async () => {
  machine = await bareMachine();
  await machine.put('/root/token', `${TOKEN}\n`);
  before = await machine.listing();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** Runs `install` and sees that it left the machine alone and started nothing. */
async function refusedInstall(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun> {
  const cli = cliContext({ root: machine.path, env });
  const ran = await cli.run(...words);
  expect(await machine.listing()).toEqual(before);
  expect(maybeChanging(cli.started)).toEqual([]);
  expect(cli.lockEvents).toEqual(['lock', 'release']);
  return ran;
}

test('install refuses a token that the control plane answers with 401', async () => {
  await using controlPlane = startControlPlane({ token: 'another-token' });
  const ran = await refusedInstall([...INSTALL, '--api-url', controlPlane.url]);
  expect(errorOf(ran)).toEqual({
    exitCode: 5,
    code: 'TOKEN_REJECTED',
    message: 'The control plane does not accept the token',
    hint: 'Get a new token and run: pipeops-agent install --token-file FILE',
    details: { status: 401 },
  });
  expect(ran.stderr).toContain('✗ Ask the control plane');
  expect(ran.stderr).not.toContain(TOKEN);
});

const anything = (body: string, init: ResponseInit) =>
  Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(body, init) });
const JSON_TYPE = { 'content-type': 'application/json' };

test.each<[string, string, ResponseInit]>([
  ['says 404 to everything', 'Not Found', { status: 404 }],
  ['says 404 in JSON to everything', '{"error":"not found"}', { status: 404, headers: JSON_TYPE }],
  ['says 200 in JSON to everything', '{"status":"ok"}', { headers: JSON_TYPE }],
  ['says 204 to everything', '', { status: 204 }],
])('install refuses what %s as a control plane', async (_, body, init) => {
  await using server = anything(body, init);
  const ran = await refusedInstall([...INSTALL, '--api-url', server.url.origin]);
  expect(errorOf(ran)).toEqual({
    exitCode: 6,
    code: 'CONTROL_PLANE_ERROR',
    message: `What answers at ${server.url.host} is no control plane: it knows neither of our calls`,
    hint: 'Check the address: --api-url (PIPEOPS_API_URL)',
    details: { status: init.status ?? 200 },
  });
});

test('install refuses a wrong token also where there is nothing but a WebSocket', async () => {
  await using controlPlane = startControlPlane({
    token: 'another-token',
    dialect: { rest: false },
  });
  const ran = await refusedInstall([...INSTALL, '--api-url', controlPlane.url]);
  expect(errorOf(ran)).toMatchObject({ exitCode: 5, code: 'TOKEN_REJECTED' });
});

test.each([[{ rest: false }], [{ websocket: false }]])(
  'install takes the right token where the control plane speaks %j',
  async (dialect) => {
    await using controlPlane = startControlPlane({ token: TOKEN, dialect });
    const ran = await cliContext({
      root: machine.path,
    }).run(...INSTALL, '--api-url', controlPlane.url);
    expect(ran.stderr).toContain('✓ Ask the control plane');
    expect(controlPlane.store.agents()).toEqual([]);
  },
);

test('install refuses PIPEOPS_TOKEN in the same way', async () => {
  await using controlPlane = startControlPlane({ token: 'another-token' });
  const env = { PIPEOPS_TOKEN: TOKEN, PIPEOPS_API_URL: controlPlane.url };
  const ran = await refusedInstall(['install', '--json'], env);
  expect(errorOf(ran)).toMatchObject({ exitCode: 5, code: 'TOKEN_REJECTED' });
});

test('install names the host of a control plane that refuses connections', async () => {
  const controlPlane = startControlPlane({ token: TOKEN });
  await controlPlane[Symbol.asyncDispose]();
  const ran = await refusedInstall([...INSTALL, '--api-url', controlPlane.url]);
  expect(errorOf(ran)).toEqual({
    exitCode: 6,
    code: 'CONTROL_PLANE_UNREACHABLE',
    message: `Cannot reach ${new URL(controlPlane.url).host}: it refuses connections`,
    hint: 'Check the address, DNS, the firewall and, behind a proxy, HTTPS_PROXY',
  });
});

test('install hints at --ca-file when the certificate is of a private authority', async () => {
  const tls = await makeCertificates(['127.0.0.1']);
  await using controlPlane = startControlPlane({ token: TOKEN, tls });
  const ran = await refusedInstall([...INSTALL, '--api-url', controlPlane.url]);
  expect(errorOf(ran)).toMatchObject({
    exitCode: 6,
    code: 'CONTROL_PLANE_UNREACHABLE',
    hint: 'If it uses a private CA, name its certificate with --ca-file (PIPEOPS_CA_FILE)',
  });
});

test('install takes the authority from --ca-file, and --dry-run then plans every step', async () => {
  const tls = await makeCertificates(['127.0.0.1']);
  await using controlPlane = startControlPlane({ token: TOKEN, tls });
  await machine.put('/root/ca.pem', tls.ca);
  before = await machine.listing();
  const cli = cliContext({
    root: machine.path,
    programs: {
      [K3S_STATE]: { stdout: 'ActiveState=inactive\nJob=' },
      [K3S_ACTIVE]: { stdout: 'inactive' },
    },
    http: (url, init) =>
      url.startsWith(controlPlane.url)
        ? fetch(url, init)
        : Promise.reject(new Error(`nothing answers ${url}`)),
  });
  const flags = ['--api-url', controlPlane.url, '--ca-file', '/root/ca.pem', '--dry-run'];
  const ran = await cli.run(...INSTALL, ...flags);
  const { plan } = JSON.parse(ran.stdout) as { plan: { id: string; needed: boolean }[] };
  expect({ exitCode: ran.exitCode, ids: plan.map(({ id }) => id) }).toEqual({
    exitCode: 0,
    ids: [
      ...['place-executable', 'k3s-config', 'k3s-install', 'registry-ca', 'registries'],
      'k3s-start',
      ...['agent-account', 'control-plane-ca', 'agent-config', 'control-plane-token'],
      ...['helper', 'snapshots', 'k3s-upgrade', 'k3s-asked', 'agent-unit', 'root-units'],
      ...['node-ready', 'agent-permissions', 'policy-file', 'agent-kubeconfig'],
      ...['switch-executable', 'start-agent', 'agent-ready', 'system-ready', 'prune-versions'],
    ],
  });
  const done = plan.filter(({ needed }) => !needed).map(({ id }) => id);
  expect(done).toEqual(['prune-versions']);
  expect(await machine.listing()).toEqual(before);
});

test('install goes through the SOCKS5 proxy of the environment and keeps its password to itself', async () => {
  await using controlPlane = startControlPlane({ token: 'another-token' });
  const credentials = 'agent:a-password-of-the-proxy';
  await using proxy = await startForwardProxy('socks5', credentials, {
    leadsTo: controlPlane.port,
  });
  const flags = ['--api-url', 'http://192.0.2.1', '--allow-insecure'];
  const address = (login: string) => `socks5://${login}@127.0.0.1:${proxy.port}`;
  const ran = await refusedInstall([...INSTALL, ...flags], { HTTPS_PROXY: address(credentials) });
  expect(errorOf(ran)).toMatchObject({ exitCode: 5, code: 'TOKEN_REJECTED' });
  expect(proxy.targets).toContain('192.0.2.1:80');
  const wrong = await refusedInstall([...INSTALL, ...flags], {
    HTTPS_PROXY: address('agent:not-the-password'),
  });
  expect(errorOf(wrong)).toMatchObject({
    exitCode: 6,
    message: expect.stringContaining('the proxy does not accept the credentials'),
  });
  expect(`${ran.stdout}${ran.stderr}${wrong.stdout}${wrong.stderr}`).not.toMatch(
    /password-of|not-the-/,
  );
});

test.each([
  ['is not there', 'there is no file /root/ca.pem', undefined],
  ['holds no certificate', 'there is no certificate (PEM) in /root/ca.pem', 'not a certificate\n'],
])('install refuses a --ca-file that %s', async (_, problem, text) => {
  if (text !== undefined) {
    await machine.put('/root/ca.pem', text);
    before = await machine.listing();
  }
  expect(errorOf(await refusedInstall([...INSTALL, '--ca-file', '/root/ca.pem']))).toEqual({
    exitCode: 3,
    code: 'CONFIG_INVALID',
    message: `Cannot use --ca-file: ${problem}`,
    hint: 'Correct --ca-file (PIPEOPS_CA_FILE)',
  });
});

test('install refuses a token file that is not there', async () => {
  expect(errorOf(await refusedInstall(['install', '--token-file', '/absent', '--json']))).toEqual({
    exitCode: 2,
    code: 'USAGE',
    message: 'There is no file /absent',
    hint: 'Check the path; the file holds the token and nothing else',
  });
});

const JOIN_TOKEN = `pj1.${'QUJD'.repeat(20)}.0123abcd`;

test.each([
  ['a join token', JOIN_TOKEN, 'This is a join token, not a token of the control plane'],
  [
    'a token of k3s',
    `K10${'a'.repeat(64)}::server:secret-of-k3s`,
    'This is a token of k3s, not a token of the control plane',
  ],
  [
    'a private key',
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----',
    'This is a private key, not a token of the control plane',
  ],
  [
    'several words',
    'the token of it',
    'Cannot use the control-plane token: there are 4 words; a token is one',
  ],
])('install sends nothing to the control plane when it is given %s', async (_, text, message) => {
  let requests = 0;
  await using controlPlane = Bun.serve({
    port: 0,
    fetch: () => {
      requests += 1;
      return new Response();
    },
  });
  const url = ['--api-url', `http://127.0.0.1:${controlPlane.port}`];
  const wanted = { exitCode: 2, code: 'TOKEN_INVALID', message };
  const byVariable = await refusedInstall(['install', '--json', ...url], { PIPEOPS_TOKEN: text });
  expect(errorOf(byVariable)).toMatchObject(wanted);
  await machine.put('/root/token', text);
  before = await machine.listing();
  const byFile = await refusedInstall([...INSTALL, ...url]);
  expect(errorOf(byFile)).toMatchObject(wanted);
  expect(`${byFile.stdout}${byFile.stderr}`).not.toContain(text);
  expect(requests).toBe(0);
});

test('install names "join" where it is given a join token', async () => {
  await machine.put('/root/token', JOIN_TOKEN);
  before = await machine.listing();
  expect(errorOf(await refusedInstall(INSTALL)).hint).toContain(
    'sudo pipeops-agent join --token-file FILE',
  );
});

test('--token-file does not repeat what may be the token itself', async () => {
  for (const given of [JOIN_TOKEN, 'eyJhbGciOiJIUzI1NiJ9.e30.c2ln', 'pat_2f0c1d7e9b8a4c6d5e3f']) {
    const ran = await refusedInstall(['install', '--token-file', given, '--json']);
    expect(errorOf(ran)).toMatchObject({ exitCode: 2, code: 'USAGE' });
    expect(`${ran.stdout}${ran.stderr}`).not.toContain(given);
  }
});
