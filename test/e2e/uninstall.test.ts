/**
 * `uninstall` on a machine with a firewall of its own: rules as Docker and ufw make them, in iptables of
 * either kind and in nftables, are the same before and after. Data of volumes stays unless it is to go.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { compareStates, USER_BACKUPS } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { bringProgram, installEnvironment, openStand, type Stand } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const RUN_TIMEOUT_MS = 240_000;
const AGENT = '/root/pipeops-agent';
const VOLUME = '/var/lib/rancher/k3s/storage/pvc-01234567-89ab-cdef-0123-456789abcdef_shop_orders';

/** As Docker, ufw and a person make them: nested chains, marks, comments that name ours. */
const OTHERS_RULES = `*filter
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A DOCKER-USER -j RETURN
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment "not for -j KUBE-SERVICES" -j ACCEPT
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
COMMIT
`;
const OTHERS_RULES_IPV6 = OTHERS_RULES.replace('172.17.0.0/16', 'fd00:17::/64').replace(
  '172.17.0.2:80',
  '[fd00:17::2]:80',
);
const OTHERS_TABLE = `table inet mine {
  set allowed {
    type ipv4_addr
    elements = { 10.9.9.9, 10.9.9.10 }
  }
  chain input {
    type filter hook input priority 10; policy accept;
    ip saddr @allowed counter accept
  }
  chain KUBE-LOOKALIKE {
    tcp dport 9 drop
  }
}
`;

const progress = reportProgress('uninstall');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('uninstall');
  machine = await stand.lab.boot({ name: 'shared', base: 'kubernetes', images: true });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function run(...args: readonly string[]) {
  const ran = await machine.exec([AGENT, ...args], {
    env: installEnvironment(stand),
    timeoutMs: RUN_TIMEOUT_MS,
    check: false,
  });
  expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: 0 });
  return ran;
}

const kubectl = (...args: readonly string[]) => machine.exec(['k3s', 'kubectl', ...args]);

/** All that leaves traces: pods, a port of the node, a Service, the data of a volume. */
async function runApplication(): Promise<void> {
  const container = {
    name: 'web',
    image: WEB_IMAGE,
    ports: [{ containerPort: 8080, hostPort: 8088 }],
  };
  const overrides = JSON.stringify({ spec: { containers: [container] } });
  await kubectl('run', 'web', `--image=${WEB_IMAGE}`, `--overrides=${overrides}`);
  await kubectl('expose', 'pod', 'web', '--port=80', '--target-port=8080');
  await kubectl('wait', 'pod', 'web', '--for=condition=Ready', '--timeout=90s');
  await machine.writeFile(`${VOLUME}/orders.db`, 'x'.repeat(100_000));
}

const rules = async (tool: string) =>
  (await machine.exec([`${tool}-save`])).stdout
    .split('\n')
    .filter((line) => /^(-A|:\S+ - )/.test(line)) // A table without rules and own chains does nothing.
    .map((line) => line.replace(/\[\d+:\d+\]/, '[]'));

/** What a machine's state does not list, because it is gone after a reboot: control groups and namespaces. */
async function tracesOfPods(): Promise<readonly string[]> {
  const names = ['kubepods*', 'cri-containerd*', 'k3s*', '*pipeops*'];
  const which = names.flatMap((name, index) => [...(index === 0 ? [] : ['-o']), '-name', name]);
  const groups = await machine.exec(['find', '/sys/fs/cgroup', '-type', 'd', '(', ...which, ')']);
  const namespaces = await machine.exec(['ls', '/run/netns'], { check: false });
  return `${groups.stdout}\n${namespaces.stdout}`.split('\n').filter((line) => line !== '');
}

test(
  'rules of others are the same before and after, and so is the machine but for the data of volumes',
  async () => {
    await machine.exec(['iptables-restore', '--noflush'], { stdin: OTHERS_RULES });
    await machine.exec(['nft', '-f', '-'], { stdin: OTHERS_TABLE });
    const before = await machine.snapshotState();
    const rulesBefore = await rules('iptables');
    expect(rulesBefore).toContain('-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER');

    await run('install');
    await runApplication();
    expect((await rules('iptables')).join('\n')).toMatch(
      /-A INPUT -j KUBE-FIREWALL\n(.*\n)*-A OUTPUT .* -j CNI-HOSTPORT-DNAT\n/,
    );
    expect((await tracesOfPods()).join('\n')).toMatch(/kubepods(.*\n)+cni-/);
    const kept = await run('uninstall', '--yes', '--json');
    expect(await tracesOfPods()).toEqual([]);
    const { volumes, network } = JSON.parse(kept.stdout);
    expect(volumes).toEqual([{ path: VOLUME, claim: 'shop/orders', bytes: expect.any(Number) }]);
    expect(network.after).toEqual(network.before);
    expect(network.after.default_route).not.toBeNull();
    expect(await rules('iptables')).toEqual(rulesBefore);
    const ofVolume = /files: \+ . \S+ \S+ \/var\/lib\/rancher(\/k3s(\/storage(\/.*)?)?)?$/;
    const after = await machine.snapshotState();
    expect(compareStates(before, after, [USER_BACKUPS, ofVolume])).toEqual([]);
    expect((await machine.readFile(`${VOLUME}/orders.db`)).length).toBe(100_000);

    await withLegacyTables(async () => {
      await run('install');
      await runApplication();
    });
    const end = await machine.snapshotState();
    expect(compareStates(before, end, [USER_BACKUPS, /\/etc\/alternatives\/ip6?tables/])).toEqual(
      [],
    );
    expect(await rules('iptables-nft')).toEqual(rulesBefore);
  },
  TEST_TIMEOUT_MS,
);

/** The same on a machine whose `iptables` writes into the kernel's old tables, beside what is in nftables. */
async function withLegacyTables(work: () => Promise<void>): Promise<void> {
  for (const [tool, stdin] of [
    ['iptables', OTHERS_RULES],
    ['ip6tables', OTHERS_RULES_IPV6],
  ] as const) {
    await machine.exec(['update-alternatives', '--set', tool, `/usr/sbin/${tool}-legacy`]);
    await machine.exec([`${tool}-restore`, '--noflush'], { stdin });
  }
  const before = [await rules('iptables-legacy'), await rules('ip6tables-legacy')];
  expect(before.flat()).toContain('-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER');
  await work();
  expect(await rules('iptables-legacy')).toEqual(
    expect.arrayContaining([
      '-A INPUT -j KUBE-FIREWALL',
      expect.stringMatching(/^-A OUTPUT .* -j CNI-HOSTPORT-DNAT$/),
    ]),
  );
  await run('uninstall', '--yes', '--delete-data');
  expect([await rules('iptables-legacy'), await rules('ip6tables-legacy')]).toEqual(before);
}
