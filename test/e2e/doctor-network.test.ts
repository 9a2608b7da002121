/**
 * `doctor` on a machine whose network is broken in one way after the other, with the tools that people
 * break it with: nft, ip, a clock. Each fix is typed as it is told, and helps.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { bringProgram, installEnvironment, openStand, type Stand, withoutSudo } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 60_000;
const AGENT = '/root/pipeops-agent';
/** With one silence of 2.5 s. */
const SILENT_SECONDS_MAX = 3.2;

const progress = reportProgress('doctor-network');
let stand: Stand;
let machine: Machine;
/** host:port of the control plane. */
let place: string;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('doctor-network');
  machine = await stand.lab.boot({ name: 'doctored', base: 'kubernetes' });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
  place = new URL(stand.controlPlaneUrl).host;
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

interface ShownCheck {
  readonly id: string;
  readonly state: string;
  readonly because?: string;
  readonly finding?: { readonly message: string; readonly hint: string; readonly fix?: string };
}

interface Told {
  readonly seconds: number;
  readonly checks: readonly ShownCheck[];
}

async function told(env: Readonly<Record<string, string>> = {}): Promise<Told> {
  const { stdout } = await machine.exec([AGENT, 'doctor', '--json'], {
    env: { ...installEnvironment(stand), ...env },
    timeoutMs: TEST_TIMEOUT_MS,
    check: false,
  });
  return JSON.parse(stdout);
}

/** Every check of the machine, by its id. */
async function doctor(env: Readonly<Record<string, string>> = {}) {
  const { checks } = await told(env);
  return new Map(checks.map((check) => [check.id, check]));
}

const shell = async (script: string) => {
  const { stdout } = await machine.exec(['sh', '-ec', script]);
  return stdout.trim();
};

/** Types what a finding tells to type. The kernels of test hosts have bridges, and no dummies. */
const typed = (check: ShownCheck | undefined) =>
  shell(withoutSudo(check?.finding?.fix ?? 'false').replace('type dummy', 'type bridge'));

/** Of the checks of the network those that are not all right. */
async function troubled(ids: readonly string[]): Promise<readonly string[]> {
  const checks = await doctor();
  return ids.filter((id) => checks.get(id)?.state === 'found');
}

const NETWORK = [
  ...['dns-for-pods', 'default-route', 'pod-networks', 'pod-network-routes', 'firewall'],
  ...['control-plane', 'websocket', 'path-mtu', 'clock', 'clock-drift', 'k3s-downloads'],
];

/** In this order, each on what the one before has left: tests run in any. */
const steps: { readonly title: string; readonly work: () => Promise<void> }[] = [];
const step = (title: string, work: () => Promise<void>) => void steps.push({ title, work });

step('nothing is wrong with a network that works', async () => {
  expect(await troubled(NETWORK)).toEqual([]);
});

step('a port that a firewall drops', async () => {
  const port = new URL(stand.controlPlaneUrl).port;
  await shell(
    `nft -f - <<'END'
table inet broken {
  chain out { type filter hook output priority 0; tcp dport ${port} drop; }
}
END`,
  );
  const control = (await doctor()).get('control-plane');
  await shell('nft delete table inet broken');
  expect(control?.finding?.message).toMatch(/TCP fails after 2\d\d\d ms: no answer in 2\.\d s$/);
  expect(control?.finding?.hint).toContain(`port ${port}`);
});

step('a network in which everything is dropped is told of within 3 s', async () => {
  await shell(
    `nft -f - <<'END'
table inet broken {
  chain out { type filter hook output priority 0; policy drop; oifname "lo" accept; }
}
END`,
  );
  const proxied = { HTTPS_PROXY: 'http://192.0.2.1:3128' };
  for (const env of [{}, proxied]) {
    const { seconds, checks } = await told(env);
    expect(seconds).toBeLessThan(SILENT_SECONDS_MAX);
    for (const id of ['control-plane', 'k3s-downloads']) {
      expect(checks.find((check) => check.id === id)?.finding).toMatchObject({
        message: expect.stringContaining('no answer in 2'),
        hint: expect.stringMatching(/^That is what a firewall does that drops packets/),
      });
    }
  }
  await shell('nft delete table inet broken');
});

step('packets that are too large for the way get lost', async () => {
  await shell(
    `nft -f - <<'END'
table inet broken {
  chain out { type filter hook output priority 0; meta length > 1400 drop; }
}
END`,
  );
  const checks = await doctor();
  await shell('nft delete table inet broken');
  // The first packet of TLS is one of them.
  expect(checks.get('control-plane')?.finding?.message).toContain('TLS fails after');
  expect(checks.get('path-mtu')?.finding?.message).toBe(
    `Small packets to ${place} are answered, large ones get lost: those of 1500 bytes do not get through`,
  );
});

step('a firewall that drops what comes in is opened by what is told', async () => {
  await shell(
    `nft -f - <<'END'
table inet guard {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    tcp dport { 22, 6443 } accept
  }
  chain forward { type filter hook forward priority 0; policy drop; }
}
END`,
  );
  const firewall = (await doctor()).get('firewall');
  expect(firewall?.finding?.message).toBe(
    "the chain input of nftables' table inet guard keeps out 10250/tcp (the kubelet), 8472/udp (pods of other nodes); " +
      "the chain forward of nftables' table inet guard keeps out packets from 10.42.0.0/16",
  );
  await typed(firewall);
  expect(await troubled(['firewall'])).toEqual([]);
  await shell('nft delete table inet guard');
});

step('a route to the addresses of pods is named, and an installation takes others', async () => {
  await shell(
    'ip link add vpn0 type bridge; ip link set vpn0 up; ip route add 10.42.128.0/20 dev vpn0',
  );
  const checks = await doctor();
  expect(checks.get('pod-networks')?.state).toBe('ok');
  expect(checks.get('pod-network-routes')?.finding?.message).toBe(
    'Addresses of pods and Services are used already: 10.42.128.0/20 is routed over vpn0 and overlaps 10.42.0.0/16',
  );
  await shell('ip addr add 10.43.0.9/24 dev vpn0');
  const inside = (await doctor()).get('pod-networks');
  expect(inside?.finding?.message).toContain('the address 10.43.0.9 is in 10.43.0.0/16');
  // It was not told to anybody yet: a dry run takes others, and says why.
  const { stdout } = await machine.exec([AGENT, 'install', '--dry-run', '--json'], {
    env: installEnvironment(stand),
  });
  expect(JSON.parse(stdout).networks).toEqual({
    pods: ['10.44.0.0/16'],
    services: ['10.45.0.0/16'],
    because: [
      'the address 10.43.0.9 is in 10.43.0.0/16',
      '10.42.128.0/20 is routed over vpn0 and overlaps 10.42.0.0/16',
      '10.43.0.0/24 is routed over vpn0 and overlaps 10.43.0.0/16',
    ],
  });
  await shell('ip link del vpn0');
});

step('a machine without a default route gets one that leads nowhere', async () => {
  const before = await shell('ip route show default');
  await shell('ip route del default');
  const route = (await doctor()).get('default-route');
  expect(route?.finding?.message).toBe('This machine has no default route');
  await typed(route);
  expect(await troubled(['default-route'])).toEqual([]);
  await shell(`ip link del dummy0; ip route add ${before}`);
});

step('a clock that is wrong is refused, and one that is off a little is told', async () => {
  const library = await shell('ls /usr/lib/*/faketime/libfaketime.so.1');
  const clock = (offset: string) => ({
    LD_PRELOAD: library,
    FAKETIME: offset,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  });
  expect((await doctor(clock('+90s'))).get('clock')?.finding?.message).toMatch(
    new RegExp(`^This clock is (89|90|91) s ahead of that of ${place}$`),
  );
  const little = await doctor(clock('-12s'));
  expect(little.get('clock')?.state).toBe('ok');
  expect(little.get('clock-drift')?.finding?.message).toMatch(/^This clock is 1[123] s behind/);
  const { exitCode, stdout } = await machine.exec(
    [AGENT, 'install', '--token-file', '/root/control-plane-token', '--json'],
    { env: { ...installEnvironment(stand), ...clock('+90s') }, check: false },
  );
  expect([exitCode, JSON.parse(stdout).error.message]).toEqual([
    11,
    expect.stringMatching(/^This clock is \d+ s ahead/),
  ]);
  expect(await shell('ls /etc/pipeops-agent 2>/dev/null | wc -l')).toBe('0');
});

step(
  'TLS that is opened on the way, by an authority that is trusted here and by one that is not',
  async () => {
    // What the machine trusts beside the browsers' authorities, as where a company opens TLS.
    const PIPEOPS_API_URL = stand.mirror.url;
    const trusted = await doctor({ PIPEOPS_API_URL, PIPEOPS_CA_FILE: '' });
    expect(trusted.get('control-plane')?.state).toBe('ok');
    expect(trusted.get('tls-interception')?.finding?.message).toContain(
      `${new URL(PIPEOPS_API_URL).host}: the certificate is of "Test CA", an authority that only this machine trusts`,
    );
    const unknown = (await doctor({ PIPEOPS_CA_FILE: '' })).get('control-plane');
    expect(unknown?.finding?.message).toContain('"Test CA", that is not trusted here');
    expect(unknown?.finding?.hint).toContain('--ca-file FILE');
  },
);

step('a name that leads nowhere, and a resolver that is not there', async () => {
  await machine.writeFile('/etc/resolv.conf', 'nameserver 127.0.0.53\n');
  const checks = await doctor({ PIPEOPS_API_URL: 'https://control-plane.invalid' });
  expect(checks.get('dns-resolvers')?.finding).toMatchObject({
    message: 'No resolver answers: 127.0.0.53: it refuses connections (/etc/resolv.conf)',
    fix: 'sudo systemctl restart systemd-resolved',
  });
  expect(checks.get('dns-for-pods')?.finding?.message).toContain('k3s gives them 8.8.8.8');
  expect(checks.get('control-plane')?.finding?.message).toContain('DNS fails after');
});

test(
  'each way to break a network is told by its name',
  async () => {
    for (const { title, work } of steps) {
      await progress.phase(title, work);
    }
  },
  5 * TEST_TIMEOUT_MS,
);
