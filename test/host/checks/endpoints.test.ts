/** Checks of endpoints against servers and proxies that really run here. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import type { Probe } from '../../../src/core/probe.ts';
import { clockBesideDownloads, clockExact, clockRight } from '../../../src/host/checks/clock.ts';
import { controlPlaneAnswers } from '../../../src/host/checks/control-plane.ts';
import { downloadsAnswer } from '../../../src/host/checks/downloads.ts';
import { gatewaysAnswer } from '../../../src/host/checks/gateways.ts';
import { ipFamiliesWork } from '../../../src/host/checks/ip-families.ts';
import { serverAnswers } from '../../../src/host/checks/joined-server.ts';
import { largePacketsPass } from '../../../src/host/checks/path-mtu.ts';
import { registriesAnswer } from '../../../src/host/checks/registries.ts';
import { runChecks } from '../../../src/host/checks/run.ts';
import { tlsUnopened } from '../../../src/host/checks/tls-interception.ts';
import { webSocketPasses } from '../../../src/host/checks/websocket.ts';
import type { FactDeps, MachineRole, Subject } from '../../../src/host/facts/fact.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemProbe } from '../../../src/platform/network/probe.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { type ForwardProxy, startForwardProxy } from '../../support/forward-proxy.ts';
import { makeCertificates, type TestCertificates } from '../../support/tls.ts';
import { findingOf, outcomeOf } from './outcome-of.ts';

/** What the names of the tests lead to: all servers are on this machine. */
const HOST = 'control-plane.test';
const CA_FILE = '/root/ca.pem';
/** How far the clock of a server is off. */
let serverAheadMs: number;
/** What it does with requests to become a WebSocket. */
let upgrades: 'passed' | 'cut' | 'refused';
/** Its answer to everything else. */
let status: number;

let machine: BareMachine;
let certificates: TestCertificates;
let server: ReturnType<typeof serve>;
let free: number;

function serve({ cert, key }: TestCertificates) {
  return Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    tls: { cert, key },
    fetch: (request) => {
      const date = new Date(Date.now() + serverAheadMs).toUTCString();
      const isUpgrade = request.headers.get('upgrade') !== null;
      if (isUpgrade && upgrades === 'refused') {
        const headers = { 'content-type': 'text/html', server: 'squid/6.1', date };
        return new Response('<html>', { status: 400, headers });
      }
      const answer = isUpgrade && upgrades === 'passed' ? 401 : isUpgrade ? 426 : status;
      return new Response(null, { status: answer, headers: { date } });
    },
  });
}

beforeAll(async () => {
  certificates = await makeCertificates(['127.0.0.1', HOST]);
  server = serve(certificates);
  const closed = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
  free = closed.port ?? 0;
  await closed.stop(true);
});

afterAll(async () => await server.stop(true));

beforeEach(async () => {
  serverAheadMs = 0;
  upgrades = 'passed';
  status = 404;
  machine = await bareMachine();
  await machine.put(CA_FILE, certificates.ca);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

interface Wishes {
  readonly env?: Readonly<Record<string, string>>;
  readonly role?: MachineRole;
  readonly probe?: Partial<Probe>;
  readonly settings?: Partial<Subject['config']['control_plane']>;
}

/** A machine whose control plane is the server, for which every name leads here. */
function deps({ env = {}, role = 'bare', probe = {}, settings = {} }: Wishes = {}): FactDeps {
  const resolve: Probe['resolve'] = async () => ['127.0.0.1'];
  const given = {
    PIPEOPS_API_URL: `https://${HOST}:${server.port}`,
    PIPEOPS_CA_FILE: CA_FILE,
    ...env,
  };
  const { config } = subjectOf({ env: given });
  const subject: Subject = {
    role,
    k3sRole: role === 'worker' ? 'agent' : 'server',
    config: { ...config, control_plane: { ...config.control_plane, ...settings } },
  };
  const own = { env: given, addresses: () => ['10.0.0.1', '2001:db8::1'], subject };
  return factDeps(machine.path, {
    ...own,
    probe: async () => ({ ...systemProbe, resolve, ...probe }),
  });
}

const WITHOUT_CA = { PIPEOPS_CA_FILE: '' };

async function proxied(
  credentials: string,
  leadsTo = server.port ?? 0,
): Promise<ForwardProxy & { env: Record<string, string> }> {
  const proxy = await startForwardProxy('http', credentials, { leadsTo });
  return Object.assign(proxy, { env: { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` } });
}

test('a control plane that is reached is all right, whatever it says to strangers', async () => {
  for (const check of [controlPlaneAnswers, webSocketPasses, largePacketsPass, ipFamiliesWork]) {
    expect(await outcomeOf(check, deps())).toEqual({ state: 'ok' });
  }
});

test('TLS that is opened on the way is named with its authority, and --ca-file', async () => {
  const finding = await findingOf(controlPlaneAnswers, deps({ env: WITHOUT_CA }));
  expect(finding?.code).toBe('CONTROL_PLANE_UNREACHABLE');
  expect(finding?.message.replace(/after \d+ ms/, 'after N ms')).toBe(
    `Cannot use the control plane (${HOST}:${server.port}): TLS fails after N ms: its certificate is of an authority, "Test CA", that is not trusted here`,
  );
  expect(finding?.hint).toContain('"Test CA"');
  expect(finding?.hint).toContain('--ca-file FILE');
  expect(finding?.details).toMatchObject({
    proxy: null,
    ways: [
      {
        way: 'direct',
        address: '127.0.0.1',
        steps: [{ step: 'dns' }, { step: 'tcp' }],
        failed: { step: 'tls' },
        issuer: 'Test CA',
      },
    ],
  });
});

test('a name that leads nowhere, and a port on which nobody listens', async () => {
  const unknown = Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
  const resolve = () => Promise.reject(unknown);
  const noName = await findingOf(controlPlaneAnswers, deps({ probe: { resolve } }));
  expect(noName?.message).toContain('DNS fails after');
  expect(noName?.hint).toContain(`getent hosts ${HOST}`);
  const env = { PIPEOPS_API_URL: `https://${HOST}:${free}` };
  const noPort = await findingOf(controlPlaneAnswers, deps({ env }));
  expect(noPort?.message).toMatch(/TCP fails after \d+ ms: it refuses connections$/);
  expect(noPort?.hint).toContain(`port ${free} of ${HOST}`);
});

test('a server that fails is at fault, not the way', async () => {
  status = 503;
  const finding = await findingOf(controlPlaneAnswers, deps());
  expect(finding?.message).toBe(
    `Cannot use the control plane (${HOST}:${server.port}): it answers 503`,
  );
});

test('a proxy that wants credentials, and one that is better gone around', async () => {
  await using strict = await proxied('ada:secret');
  const env = { ...strict.env, NO_PROXY: '' };
  const finding = await findingOf(controlPlaneAnswers, deps({ env }));
  expect(finding?.message).toMatch(
    / through the proxy 127\.0\.0\.1:\d+: the proxy fails after \d+ ms: the proxy asks for credentials$/,
  );
  expect(finding?.hint).toContain(`add ${HOST} to NO_PROXY`);
  const given = { HTTPS_PROXY: `http://ada:secret@127.0.0.1:${strict.port}` };
  expect(await findingOf(controlPlaneAnswers, deps({ env: given }))).toBeUndefined();
  expect(new Set(strict.targets)).toEqual(new Set([`${HOST}:${server.port}`]));
  // Behind a proxy that works nothing is tried around it: there it would only be waited for.
  const asked: boolean[] = [];
  const walk: Probe['walk'] = (way, signal) => {
    asked.push(way.proxy !== undefined);
    return systemProbe.walk(way, signal);
  };
  await findingOf(controlPlaneAnswers, deps({ env: given, probe: { walk } }));
  expect(asked).toEqual([true]);
});

test('the credentials that root gave to k3s are used', async () => {
  await using strict = await proxied('ada:secret');
  await machine.put(
    '/etc/systemd/system/k3s.service.env',
    `CONTAINERD_HTTPS_PROXY="http://ada:secret@127.0.0.1:${strict.port}"\n`,
  );
  expect(await findingOf(controlPlaneAnswers, deps({ env: strict.env }))).toBeUndefined();
});

test.each([
  ['cut' as const, 'it answers 426'],
  ['refused' as const, 'a page (400) by the proxy Squid comes in its place'],
])('a WebSocket that is %s makes the agent fall back to REST', async (how, why) => {
  upgrades = how;
  const finding = await findingOf(webSocketPasses, deps());
  const rest = await findingOf(controlPlaneAnswers, deps());
  expect(finding?.message).toBe(
    `Cannot use the control plane's WebSocket (${HOST}:${server.port}): ${why}. The agent falls back to REST`,
  );
  expect(rest).toBeUndefined();
});

test('where only a WebSocket will do, its loss is an error', async () => {
  upgrades = 'cut';
  const finding = await findingOf(
    controlPlaneAnswers,
    deps({ settings: { transport: 'websocket' } }),
  );
  expect(finding?.message).toContain("the control plane's WebSocket");
});

test('gateways of the settings are tried, patterns are not', async () => {
  const settings = { gateway_hosts: ['*.example.com', 'gw.test'] };
  const finding = await findingOf(gatewaysAnswer, deps({ settings }));
  expect(finding?.message).toContain('Cannot use a gateway of the control plane (gw.test)');
});

test('an authority that only this machine trusts opens TLS', async () => {
  const walk: Probe['walk'] = (way, signal) =>
    systemProbe.walk({ ...way, ca: certificates.ca }, signal);
  const env = { ...WITHOUT_CA, PIPEOPS_K3S_MIRROR: `https://${HOST}:${server.port}` };
  const finding = await findingOf(tlsUnopened, deps({ env, probe: { walk } }));
  expect(finding?.message).toContain(`${HOST}:${server.port}: the certificate is of "Test CA"`);
  expect(await findingOf(tlsUnopened, deps())).toBeUndefined();
});

test('one version of IP that leads nowhere is named while the other works', async () => {
  const resolve: Probe['resolve'] = async () => ['127.0.0.1', '::1'];
  const both = deps({ probe: { resolve } });
  const finding = await findingOf(ipFamiliesWork, both);
  expect(finding?.message).toMatch(
    /^The control plane is not reached at ::1: TCP fails after \d+ ms: .+; the other version of IP works$/,
  );
  const only4 = { ...both, addresses: () => ['10.0.0.1', 'fd00::1', 'fe80::1'] };
  expect(await findingOf(ipFamiliesWork, only4)).toBeUndefined();
  expect(await findingOf(controlPlaneAnswers, both)).toBeUndefined();
});

test('large requests that get lost where small ones are answered', async () => {
  const walk: Probe['walk'] = async (way, signal) => {
    const { answer, ...walked } = await systemProbe.walk(way, signal);
    const failure = {
      step: 'http',
      ms: 9,
      kind: 'other',
      why: 'no answer',
      isSilent: true,
    } as const;
    return way.ask === 'large' ? { ...walked, answer: undefined, failure } : { ...walked, answer };
  };
  await machine.put('/sys/class/net/eth0/mtu', '1500\n');
  expect(await findingOf(largePacketsPass, deps({ probe: { walk } }))).toMatchObject({
    message: `Small packets to ${HOST}:${server.port} are answered, large ones get lost: those of 1500 bytes do not get through`,
    fix: 'sudo ip link set dev eth0 mtu 1400',
  });
});

test('TLS that gets no answer to its first large packet, but to a small one', async () => {
  const walk: Probe['walk'] = async (way, signal) => {
    const walked = await systemProbe.walk(way, signal);
    const why = 'no answer';
    const failure = { step: 'tls', ms: 9, kind: 'other', why, isSilent: true } as const;
    return way.beginsSmall ? walked : { ...walked, answer: undefined, failure };
  };
  const finding = await findingOf(largePacketsPass, deps({ probe: { walk } }));
  expect(finding?.message).toBe(
    `Small packets to ${HOST}:${server.port} are answered, large ones get lost: those of 1500 bytes do not get through`,
  );
});

test('packets between pods have to fit into those between nodes', async () => {
  await machine.put('/sys/class/net/eth0/mtu', '1450\n');
  await machine.put('/sys/class/net/flannel.1/mtu', '1450\n');
  expect(await findingOf(largePacketsPass, deps())).toMatchObject({
    message:
      'Pods send packets of 1450 bytes to other nodes, and with the 50 bytes around them they do not fit eth0 (1450)',
    fix: 'sudo systemctl restart k3s.service',
  });
  expect((await findingOf(largePacketsPass, deps({ role: 'worker' })))?.fix).toBe(
    'sudo systemctl restart k3s-agent.service',
  );
  await machine.put('/sys/class/net/flannel.1/mtu', '1400\n');
  expect(await findingOf(largePacketsPass, deps())).toBeUndefined();
});

test.each([
  [0, undefined, undefined],
  [3_000, undefined, undefined],
  [12_000, undefined, '12 s behind'],
  [-12_000, undefined, '12 s ahead of'],
  [90_000, '90 s behind', undefined],
  [-3 * 86_400_000, '3 days ahead of', undefined],
])('a clock beside which the control plane is %i ms ahead', async (aheadMs, error, warning) => {
  serverAheadMs = aheadMs;
  const found = [await findingOf(clockRight, deps()), await findingOf(clockExact, deps())];
  const expected = [error, warning].map(
    (words) => words && `This clock is ${words} that of ${HOST}:${server.port}`,
  );
  expect(found.map((finding) => finding?.message)).toEqual(expected);
});

test('a certificate that is not valid yet still tells what the time is', async () => {
  const walk: Probe['walk'] = async (way, signal) => {
    const walked = await systemProbe.walk(way, signal);
    const why = 'its certificate has not begun yet';
    return { ...walked, failure: { step: 'tls', ms: 1, kind: 'time', why, isSilent: false } };
  };
  serverAheadMs = 7_200_000;
  const finding = await findingOf(clockRight, deps({ probe: { walk } }));
  expect(finding?.message).toBe(`This clock is 2 h behind that of ${HOST}:${server.port}`);
});

test('a machine that is standalone has nobody to reach, and no other clock', async () => {
  const env = { PIPEOPS_API_URL: `https://${HOST}:${free}` };
  expect(await outcomeOf(controlPlaneAnswers, deps({ role: 'server', env }))).toEqual({
    state: 'ok',
  });
  expect(await outcomeOf(clockRight, deps({ role: 'server', env }))).toEqual({
    state: 'not-checked',
    because: 'there is no other clock to compare it with',
  });
});

/** Places of k3s whose clocks are so far ahead of ours, by their hosts; all others do not answer. */
const downloadsAhead =
  (aheadMs: Readonly<Record<string, number>>): Probe['walk'] =>
  async ({ url }) => {
    const ms = aheadMs[url.host];
    const now = Date.now();
    const answer = { status: 200, location: undefined, pageBy: undefined };
    // In the middle of a second, as a Date header is read.
    const times = { serverTimeMs: now - 500 + (ms ?? 0), sentAtMs: now, receivedAtMs: now };
    return {
      steps: [],
      failure: undefined,
      certificate: undefined,
      answer: ms === undefined ? undefined : { ...answer, ...times },
    };
  };

test('without a control plane the clock is refused where every place of k3s has another time', async () => {
  const ahead = { 'get.k3s.io': -7_200_000, 'update.k3s.io': -90_000, 'github.com': -86_400_000 };
  const walk = downloadsAhead(ahead);
  expect(await outcomeOf(clockBesideDownloads, deps({ probe: { walk } }))).toMatchObject({
    state: 'found',
    finding: {
      code: 'CHECK_FAILED',
      message: 'This clock is 90 s ahead of that of update.k3s.io',
    },
  });
  const one = downloadsAhead({ ...ahead, 'github.com': 2_000 });
  expect(await findingOf(clockBesideDownloads, deps({ probe: { walk: one } }))).toBeUndefined();
  const none = downloadsAhead({});
  expect(await outcomeOf(clockBesideDownloads, deps({ probe: { walk: none } }))).toEqual({
    state: 'not-checked',
    because: 'there is no other clock to compare it with',
  });
});

test('a mirror, whose own clock may be wrong, only warns', async () => {
  const env = { PIPEOPS_K3S_MIRROR: 'https://mirror.test' };
  const walk = downloadsAhead({ 'mirror.test': 90_000 });
  expect(await findingOf(clockBesideDownloads, deps({ env, probe: { walk } }))).toMatchObject({
    message: 'This clock is 90 s behind that of mirror.test',
    onlyWarns: true,
  });
});

test('a worker reaches its server, and takes the time from there', async () => {
  const note = (port: number) =>
    machine.put(
      '/etc/pipeops-agent/server.json',
      JSON.stringify({ v: 1, url: `https://127.0.0.1:${port}`, ca: certificates.ca }),
    );
  await note(server.port ?? 0);
  expect(await findingOf(serverAnswers, deps({ role: 'worker' }))).toBeUndefined();
  expect(await outcomeOf(clockRight, deps({ role: 'worker' }))).toEqual({ state: 'ok' });
  await note(free);
  expect(await findingOf(serverAnswers, deps({ role: 'worker' }))).toMatchObject({
    code: 'SERVER_UNREACHABLE',
  });
});

test.each(['127.0.0.1', '[::1]'])(
  'a worker whose server has left the cluster reaches the others as k3s does, by %s',
  async (host) => {
    const note = { v: 1, url: `https://127.0.0.1:${free}`, ca: certificates.ca };
    await machine.put('/etc/pipeops-agent/server.json', JSON.stringify(note));
    const balanced = new URL(`https://127.0.0.1:${server.port}/ping`);
    const walk: Probe['walk'] = (way, signal) =>
      systemProbe.walk(way.url.host === `${host}:6444` ? { ...way, url: balanced } : way, signal);
    expect(
      await findingOf(serverAnswers, deps({ role: 'worker', probe: { walk } })),
    ).toBeUndefined();
  },
);

test('a worker reaches its server without the proxy, as k3s does', async () => {
  await using proxy = await proxied('');
  const url = 'https://server.test:6443';
  await machine.put(
    '/etc/pipeops-agent/server.json',
    JSON.stringify({ v: 1, url, ca: certificates.ca }),
  );
  const walk: Probe['walk'] = ({ proxy: through, ...way }, signal) =>
    systemProbe.walk(
      { ...way, proxy: through, url: new URL(`https://${HOST}:${server.port}/ping`) },
      signal,
    );
  const wishes = { role: 'worker', env: proxy.env, probe: { walk } } as const;
  expect(await findingOf(serverAnswers, deps(wishes))).toBeUndefined();
  expect(proxy.targets).toEqual([]);
});

test('a mirror of k3s that has no installer is none', async () => {
  const env = { PIPEOPS_K3S_MIRROR: `https://${HOST}:${server.port}` };
  expect((await findingOf(downloadsAnswer, deps({ env })))?.message).toBe(
    `Cannot use the mirror of k3s (${HOST}:${server.port}): it answers 404`,
  );
});

test('of mirrors one will do', async () => {
  const good = `https://${HOST}:${server.port}`;
  const env = { PIPEOPS_K3S_MIRROR: `https://${HOST}:${free}, ${good}` };
  status = 200;
  const finding = await findingOf(downloadsAnswer, deps({ env }));
  expect(finding).toBeUndefined();
});

test("k3s' own places are all tried, and one cause of several is told once", async () => {
  const env = { PIPEOPS_K3S_MIRROR: '' };
  const unknown = Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
  const messageWhere = async (resolve: Probe['resolve']) => {
    const finding = await findingOf(downloadsAnswer, deps({ env, probe: { resolve } }));
    return finding?.message.replaceAll(/after \d+ ms/g, 'after N ms');
  };
  const installer = "k3s' installer (get.k3s.io)";
  const others = "k3s' channel server (update.k3s.io), k3s' releases (github.com)";
  expect(await messageWhere(() => Promise.reject(unknown))).toBe(
    `Cannot use ${installer}, ${others}: DNS fails after N ms: its name cannot be resolved`,
  );
  const mixed: Probe['resolve'] = async (host) =>
    host === 'get.k3s.io' ? ['127.0.0.1'] : Promise.reject(unknown);
  expect(await messageWhere(mixed)).toBe(
    `Cannot use ${installer}: TCP fails after N ms: it refuses connections. ` +
      `Also: Cannot use ${others}: DNS fails after N ms: its name cannot be resolved`,
  );
});

test('where a release is sent on to has to be reached too', async () => {
  const asked: string[] = [];
  const walk: Probe['walk'] = async ({ url }) => {
    asked.push(url.host);
    const moved = { 'github.com': 'https://releases.test/k3s' }[url.host];
    const failure = {
      step: 'tcp',
      ms: 9,
      kind: 'other',
      why: 'no answer',
      isSilent: true,
    } as const;
    const isBlocked = url.host === 'releases.test';
    return {
      steps: [],
      failure: isBlocked ? failure : undefined,
      certificate: undefined,
      answer: isBlocked
        ? undefined
        : {
            ...{ status: moved === undefined ? 200 : 302, location: moved, pageBy: undefined },
            ...{ serverTimeMs: undefined, sentAtMs: 0, receivedAtMs: 0 },
          },
    };
  };
  const finding = await findingOf(downloadsAnswer, deps({ probe: { walk } }));
  expect(asked.toSorted()).toEqual(['get.k3s.io', 'github.com', 'releases.test', 'update.k3s.io']);
  expect(finding?.message).toBe(
    "Cannot use where github.com keeps k3s' releases (releases.test): TCP fails after 9 ms: no answer",
  );
});

test('mirrors of registries are tried with the authority that they have', async () => {
  const registry = `https://${HOST}:${server.port}`;
  const withCa = (path: string) =>
    machine.put(
      '/etc/rancher/k3s/registries.yaml',
      `mirrors:\n  docker.io:\n    endpoint: ["${registry}"]\n` +
        `configs:\n  "${HOST}:${server.port}":\n    tls: {ca_file: ${path}}\n`,
    );
  await withCa(CA_FILE);
  status = 401;
  expect(await findingOf(registriesAnswer, deps())).toBeUndefined();
  await withCa('/root/none.pem');
  const unknown = await findingOf(registriesAnswer, deps());
  expect(unknown?.message).toContain('"Test CA", that is not trusted here');
});

test('names without anything behind them leave the usual registry', async () => {
  await machine.put('/etc/rancher/k3s/registries.yaml', 'mirrors:\nconfigs:\n');
  expect((await findingOf(registriesAnswer, deps()))?.message).toContain('(registry-1.docker.io)');
});

test('a mirror of several registries is asked and told once, with or without a scheme', async () => {
  const [silent, good] = [`https://${HOST}:${free}`, `${HOST}:${server.port}`];
  const write = (endpoints: readonly string[]) =>
    machine.put(
      '/etc/rancher/k3s/registries.yaml',
      `mirrors:\n${endpoints.map((each, index) => `  r${index}.test: {endpoint: ["${each}"]}\n`).join('')}` +
        `configs:\n  "${good}":\n    tls: {ca_file: ${CA_FILE}}\n`,
    );
  status = 401;
  await write([silent, good, silent]);
  const finding = await findingOf(registriesAnswer, deps());
  await write([good, `${HOST}:${server.port}/v2`]);
  const none = await findingOf(registriesAnswer, deps());
  status = 404;
  expect(finding?.message.replace(/after \d+ ms/, 'after N ms')).toBe(
    `Cannot use the registry of images (${HOST}:${free}): TCP fails after N ms: it refuses connections`,
  );
  expect(none).toBeUndefined();
});

test('a mirror of registries that is only wished for is tried, by the authority of --ca-file', async () => {
  const asked: string[] = [];
  const walk: Probe['walk'] = (way, signal) => {
    asked.push(way.url.href);
    return systemProbe.walk(way, signal);
  };
  const mirror = `https://${HOST}:${server.port}`;
  const wished = (env: Readonly<Record<string, string>>) => {
    const given = deps({ env, probe: { walk } });
    const { config } = given.subject;
    const k3s = { ...config.k3s, registry_mirrors: [mirror] };
    const subject = { ...given.subject, config: { ...config, k3s } };
    return findingOf(registriesAnswer, { ...given, subject });
  };
  status = 200;
  expect(await wished({})).toBeUndefined();
  expect((await wished(WITHOUT_CA))?.message).toContain('"Test CA", that is not trusted here');
  expect(new Set(asked)).toEqual(new Set([`${mirror}/v2/`]));
});

/** A probe for which packets get lost, by where they are sent; and how long that was looked at. */
function losing(isLost: (url: URL, isProxied: boolean) => boolean): Probe['walk'] {
  return async (way, signal) => {
    if (!isLost(way.url, way.proxy !== undefined)) {
      return systemProbe.walk(way, signal);
    }
    const startedAt = performance.now();
    await systemClock.sleep(way.stepLimitMs, signal);
    const ms = Math.round(performance.now() - startedAt);
    const why = `no answer in ${ms} ms`;
    const failure = { step: 'tcp', ms, kind: 'other', why, isSilent: true } as const;
    return { steps: [], failure, certificate: undefined, answer: undefined };
  };
}

test('where nothing answers all ends after one silence, and a firewall is suspected', async () => {
  await using proxy = await proxied('');
  const checks = [controlPlaneAnswers, webSocketPasses, largePacketsPass, downloadsAnswer];
  const silent = (env: Readonly<Record<string, string>>) => ({
    ...deps({ env, probe: { walk: losing(() => true) } }),
    stepLimitMs: 1_000,
  });
  for (const env of [{}, proxy.env]) {
    const startedAt = performance.now();
    const results = await runChecks(silent(env), checks);
    expect(performance.now() - startedAt).toBeLessThan(1_900);
    const hints = results.flatMap(({ outcome }) =>
      outcome.state === 'found' ? [outcome.finding.hint] : [],
    );
    expect(hints).toHaveLength(2);
    expect(hints[0]).toStartWith('That is what a firewall does that drops packets');
  }
});

test('around a proxy that stays silent the way is still found', async () => {
  await using proxy = await proxied('');
  const walk = losing((_, isProxied) => isProxied);
  const given = { ...deps({ env: proxy.env, probe: { walk } }), stepLimitMs: 1_000 };
  expect((await findingOf(controlPlaneAnswers, given))?.hint).toStartWith(
    `Without the proxy it can: add ${HOST} to NO_PROXY`,
  );
});

test('a slow way is waited for: only silence counts', async () => {
  const walk: Probe['walk'] = async (way, signal) => {
    await systemClock.sleep(way.stepLimitMs * 1.5, signal); // Two steps, of which each answers.
    return systemProbe.walk(way, signal);
  };
  const slow = { ...deps({ probe: { walk } }), stepLimitMs: 1_000 };
  expect(await findingOf(controlPlaneAnswers, slow)).toBeUndefined();
});
