/** `join` finds its server over real TLS: the certificate must be of the CA in the token. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Probe } from '../../src/core/probe.ts';
import { sha256 } from '../../src/host/cluster/join-server.ts';
import { systemProbe } from '../../src/platform/network/probe.ts';
import { type BareMachine, bareMachine } from '../support/bare-machine.ts';
import { cliContext, maybeChanging } from '../support/cli-context.ts';
import { errorOf, joinToken } from '../support/installation.ts';
import { QUIET_PROBE } from '../support/quiet-probe.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { makeCertificates, type TestCertificates } from '../support/tls.ts';

let machine: BareMachine;
let tls: TestCertificates;
let server: Bun.Server<undefined>;
/** How far its clock is off. */
let serverAheadMs: number;

beforeEach(async () => {
  serverAheadMs = 0;
  machine = await bareMachine();
  tls = await makeCertificates(['127.0.0.1']);
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert: tls.cert, key: tls.key },
    fetch: (request) =>
      new URL(request.url).pathname === '/cacerts'
        ? new Response(tls.ca)
        : new Response('', {
            status: 404,
            headers: { date: new Date(Date.now() + serverAheadMs).toUTCString() },
          }),
  });
});
afterEach(async () => {
  await server.stop(true);
  await machine[Symbol.asyncDispose]();
});

const serverUrl = () => `https://127.0.0.1:${server.port}`;

async function putToken(ca: string, servers: readonly string[]): Promise<void> {
  await machine.put('/root/join-token', `${joinToken({ servers: [...servers], ca })}\n`);
}

const JOIN = ['join', '--token-file', '/root/join-token', '--json'];

test('join refuses a server whose certificate is not of the CA in the token', async () => {
  const { ca } = await makeCertificates(['127.0.0.1']);
  await putToken(ca, [serverUrl()]);
  const before = await machine.listing();
  const cli = cliContext({ root: machine.path, probe: systemProbe });
  const ran = await cli.run(...JOIN);
  const shown = `${serverUrl()}: its certificate is of an authority, "Test CA", that is not trusted here`;
  expect(errorOf(ran)).toMatchObject({
    exitCode: 6,
    code: 'SERVER_UNREACHABLE',
    message: `No server has a certificate of the token's cluster, whose authority is "Test CA": ${shown}`,
    hint: expect.stringContaining('set up anew since the token was made'),
    details: { reasons: [shown], authority_sha256: sha256(ca) },
  });
  expect(ran.stderr).toContain('✗ Find a server of the cluster');
  expect(maybeChanging(cli.started)).toEqual([]);
  expect(await machine.listing()).toEqual(before);
});

test('join refuses a clock that is not that of the server, and changes nothing', async () => {
  await putToken(tls.ca, [serverUrl()]);
  const before = await machine.listing();
  serverAheadMs = -7_200_000;
  const probe: Probe = {
    ...QUIET_PROBE,
    resolve: async () => ['127.0.0.1'],
    walk: (way, signal) =>
      (way.url.origin === serverUrl() ? systemProbe : QUIET_PROBE).walk(way, signal),
  };
  const ran = await cliContext({ root: machine.path, probe }).run(...JOIN);
  expect(errorOf(ran)).toMatchObject({
    exitCode: 11,
    code: 'CHECK_FAILED',
    message: `This clock is 2 h ahead of that of ${new URL(serverUrl()).host}`,
  });
  expect(await machine.listing()).toEqual(before);
});

test('join names why for each server when none answers', async () => {
  await putToken(tls.ca, [`${serverUrl()}/elsewhere`, 'https://127.0.0.1:1']);
  const error = errorOf(await cliContext({ root: machine.path }).run(...JOIN));
  expect(error).toMatchObject({
    exitCode: 6,
    code: 'SERVER_UNREACHABLE',
    hint: `Check on the server that k3s runs, and that this machine reaches ${new URL(serverUrl()).host} or 127.0.0.1:1 through every firewall`,
  });
  expect(error.details?.['reasons']).toEqual([
    `${serverUrl()}/elsewhere: it answers 404`,
    expect.stringMatching(/^https:\/\/127\.0\.0\.1:1: /),
  ]);
});

test('join takes the first server that answers with a certificate of the CA', async () => {
  await putToken(tls.ca, ['https://127.0.0.1:1', serverUrl()]);
  const cli = cliContext({
    root: machine.path,
    programs: {
      'systemctl is-active --quiet pipeops-agent.service': { exitCode: 3 },
      'systemctl show --property=ActiveState,Job k3s-agent.service': { stdout: 'Job=' },
      'systemctl show --property=ActiveState --value k3s-agent.service': { stdout: 'inactive' },
    },
    http: (url, init) =>
      url.startsWith('https:') ? fetch(url, init) : Promise.reject(new Error('nothing answers')),
  });
  const ran = await cli.run(...JOIN, '--dry-run');
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr).toContain(`✓ Find a server of the cluster: ${serverUrl()}`);
  const { plan } = JSON.parse(ran.stdout) as { plan: { id: string }[] };
  expect(plan.map(({ id }) => id)).toEqual([
    'place-executable',
    'k3s-config',
    'k3s-install',
    'k3s-start',
    ...['agent-account', 'agent-config'],
    ...['helper', 'k3s-upgrade', 'k3s-asked', 'agent-unit', 'root-units'],
    ...['node-ready', 'joined-server', 'join-note', 'switch-executable'],
    'start-agent',
    'agent-ready',
    'prune-versions',
  ]);
});

test.each([
  ['without K3S_URL', { K3S_TOKEN: 'secret-of-k3s' }],
  ['without K3S_TOKEN', { K3S_URL: 'https://10.0.0.1:6443' }],
  ['with an address that is not https', { K3S_URL: 'http://10.0.0.1:6443', K3S_TOKEN: 'secret' }],
])('install with NODE_TYPE=agent %s names both variables', async (_, variables) => {
  const before = await machine.listing();
  const cli = cliContext({ root: machine.path, env: { NODE_TYPE: 'agent', ...variables } });
  expect(errorOf(await cli.run('install', '--json'))).toEqual({
    exitCode: 2,
    code: 'USAGE',
    message: 'NODE_TYPE=agent needs K3S_URL=https://… and K3S_TOKEN',
    hint: 'Set both, or use a join token: sudo pipeops-agent join --token-file FILE',
  });
  expect(await machine.listing()).toEqual(before);
});

test.each([
  ['K3S_URL without NODE_TYPE', { K3S_URL: 'https://10.0.0.1:6443' }],
  ['K3S_URL for a server', { K3S_URL: 'https://10.0.0.1:6443', NODE_TYPE: 'server' }],
  ['K3S_TOKEN alone', { K3S_TOKEN: 'secret-of-k3s' }],
  ['another NODE_TYPE', { NODE_TYPE: 'worker' }],
])('install makes no server of a machine with %s', async (_, env) => {
  const before = await machine.listing();
  const ran = await cliContext({ root: machine.path, env }).run('install', '--json');
  expect(errorOf(ran)).toEqual({
    exitCode: 2,
    code: 'USAGE',
    message: expect.stringContaining('NODE_TYPE'),
    hint: expect.stringContaining('NODE_TYPE=agent K3S_URL=https://SERVER:6443 K3S_TOKEN=…'),
  });
  expect(await machine.listing()).toEqual(before);
});

test.each([
  ['a join token', `pj1.${'QUJD'.repeat(20)}.0123abcd`, /pipeops-agent join --token-file FILE/],
  ['a kubeconfig', 'clusters: []\nusers: []\n', /kubectl/],
  ['two words', 'K10abc def', /node-token/],
])('install with NODE_TYPE=agent tells %s in K3S_TOKEN by its shape', async (_, token, hint) => {
  const before = await machine.listing();
  const env = { NODE_TYPE: 'agent', K3S_URL: 'https://10.0.0.1:6443', K3S_TOKEN: token };
  const ran = await cliContext({ root: machine.path, env }).run('install', '--json');
  const error = errorOf(ran);
  expect(error).toMatchObject({ exitCode: 2, code: 'JOIN_TOKEN_INVALID' });
  expect(error.hint).toMatch(hint);
  expect(await machine.listing()).toEqual(before);
});

test('join refuses a token of a server that has no end', async () => {
  const token = joinToken({
    ...{ servers: [serverUrl()], ca: tls.ca, role: 'server', expires: null },
    token: `K10${'0'.repeat(64)}::server:secret`,
  });
  await machine.put('/root/join-token', token);
  expect(errorOf(await cliContext({ root: machine.path }).run(...JOIN))).toMatchObject({
    exitCode: 2,
    code: 'JOIN_TOKEN_INVALID',
    hint: 'Make one on a server: sudo pipeops-agent token create --role server',
  });
});

test('install with NODE_TYPE=agent finds a K3S_TOKEN that is over before anything is changed', async () => {
  const hash = new Bun.CryptoHasher('sha256').update(tls.ca).digest('hex');
  const asked: string[] = [];
  server.reload({
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      asked.push(`${pathname} ${request.headers.get('authorization') ?? ''}`);
      return pathname === '/cacerts' ? new Response(tls.ca) : new Response('', { status: 401 });
    },
  });
  const before = await machine.listing();
  const env = {
    NODE_TYPE: 'agent',
    K3S_URL: serverUrl(),
    K3S_TOKEN: `K10${hash}::abcdef.0123456789abcdef`,
  };
  const clock = scaledClock(20);
  const ran = await cliContext({ root: machine.path, env, clock }).run('install', '--json');
  expect(errorOf(ran)).toMatchObject({ exitCode: 5, code: 'JOIN_TOKEN_REJECTED' });
  const question = '/v1-k3s/client-ca.crt Bearer abcdef.0123456789abcdef';
  const isUp = '/readyz ';
  expect(asked).toEqual(['/cacerts ', question, isUp, question, isUp, question, isUp]);
  expect(await machine.listing()).toEqual(before);
});

test('a K3S_TOKEN is not shown to a server of another cluster', async () => {
  const authorizations: (string | null)[] = [];
  server.reload({
    fetch: (request) => {
      authorizations.push(request.headers.get('authorization'));
      return new Response(tls.ca);
    },
  });
  const env = {
    NODE_TYPE: 'agent',
    K3S_URL: serverUrl(),
    K3S_TOKEN: `K10${'0'.repeat(64)}::server:secret-of-k3s`,
  };
  await cliContext({ root: machine.path, env }).run('install', '--json', '--dry-run');
  expect(authorizations).toEqual([null]);
});

const AGENT_CA = '/var/lib/rancher/k3s/agent/server-ca.crt';
const K3S_CONFIG = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
const hashOf = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');

/** As a worker that joined another cluster than the one of the test's server. */
async function joinedElsewhere(): Promise<void> {
  await machine.put(AGENT_CA, (await makeCertificates(['127.0.0.1'])).ca);
  await machine.put(K3S_CONFIG, 'server: "https://10.0.0.7:6443"\n');
}

const OTHER_CLUSTER = {
  exitCode: 4,
  code: 'CLUSTER_EXISTS',
  message: 'This machine is a node of another cluster, which it joined by https://10.0.0.7:6443',
  hint: expect.stringMatching(
    /uninstall, then the same command again.*token create, on its server/,
  ),
};

test('join with a token of another cluster says which one the worker is in, and how to move it', async () => {
  await joinedElsewhere();
  await putToken(tls.ca, [serverUrl()]);
  const before = await machine.listing();
  const ran = await cliContext({ root: machine.path }).run(...JOIN);
  expect(errorOf(ran)).toMatchObject(OTHER_CLUSTER);
  expect(await machine.listing()).toEqual(before);
});

test.each([
  ['whose hash is of another CA', () => `K10${hashOf(tls.ca)}::abcdef.0123456789abcdef`],
  ['without a hash, for a server with another CA', () => 'a-word-of-k3s'],
])('install with NODE_TYPE=agent refuses a K3S_TOKEN %s', async (_, token) => {
  await joinedElsewhere();
  const authorizations: (string | null)[] = [];
  server.reload({
    fetch: (request) => {
      authorizations.push(request.headers.get('authorization'));
      return new Response(tls.ca);
    },
  });
  const before = await machine.listing();
  const env = { NODE_TYPE: 'agent', K3S_URL: `${serverUrl()}/`, K3S_TOKEN: token() };
  const ran = await cliContext({ root: machine.path, env }).run('install', '--json');
  expect(errorOf(ran)).toMatchObject(OTHER_CLUSTER);
  expect(authorizations.filter((each) => each !== null)).toEqual([]);
  expect(await machine.listing()).toEqual(before);
});

test('a worker may join again by another server of its own cluster', async () => {
  await machine.put(AGENT_CA, tls.ca);
  await machine.put(K3S_CONFIG, 'server: "https://10.0.0.7:6443"\n');
  const env = { NODE_TYPE: 'agent', K3S_URL: serverUrl(), K3S_TOKEN: 'a-word-of-k3s' };
  const ran = await cliContext({ root: machine.path, env }).run('install', '--json', '--dry-run');
  expect(ran.stderr).toContain(`✓ Find a server of the cluster: ${serverUrl()}`);
});

test('an address that this machine does not have is refused, with those that it has', async () => {
  await putToken(tls.ca, [serverUrl()]);
  const before = await machine.listing();
  const run = (...addresses: readonly string[]) =>
    cliContext({ root: machine.path }).run(...JOIN, '--node-ip', addresses.join(','));
  expect(errorOf(await run('192.0.2.7', 'fd00:0::2'))).toEqual({
    exitCode: 3,
    code: 'CONFIG_INVALID',
    message: 'k3s.node_ip: 192.0.2.7, fd00:0::2 is no address of this machine',
    hint: expect.stringContaining('with --node-ip: 10.0.0.1, fd00::1.'),
    details: { addresses: ['10.0.0.1', 'fd00::1'] },
  });
  expect(await machine.listing()).toEqual(before);
  // Written in another way it is the same address: what is refused next is something else.
  expect(errorOf(await run('10.0.0.1', 'FD00:0:0::1')).code).not.toBe('CONFIG_INVALID');
});
