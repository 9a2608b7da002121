/** A server leaves: only where the others are well, out of etcd first, and a run that is ended goes on. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { errorOf, INSTALL, INSTALL_ENV, stateOf } from '../support/installation.ts';
import { type LeavingCluster, leavingCluster } from '../support/leaving-cluster.ts';
import { nextKill, SWEEP_TIMEOUT_MS } from '../support/sampled.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const DROP_IN = '/run/systemd/system/k3s.service.d';

let machine: SimulatedMachine;
let cluster: LeavingCluster;
let before: Awaited<ReturnType<typeof stateOf>>;

beforeEach(async () => {
  machine = await simulatedMachine();
  before = await stateOf(machine);
  await machine.run([...INSTALL, '--ha'], { env: INSTALL_ENV });
  cluster = await leavingCluster(machine);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const LEAVE = ['leave', '--yes', '--json'];
/** k3s is looked at each second. */
const FAST = { clock: scaledClock(100) };
const leave = (...flags: readonly string[]) => machine.run([...LEAVE, ...flags], FAST);

test('the one that began with etcd goes like any other, and the machine is as it was', async () => {
  cluster.pods.add('web-1');
  const ran = await leave();
  expect(JSON.parse(ran.stdout)).toMatchObject({
    ...{
      node: 'node-1',
      taken_out: true,
      evicted: ['shop/web-1'],
      deleted: [],
      kept: [],
      left: [],
    },
  });
  expect(ran.stderr).toContain('Two servers are left, which are no safer than one');
  // While etcd is left, the agent has handed its session over, and nothing starts k3s again.
  expect(cluster.seen).toEqual([
    { what: 'cordoned' },
    { what: 'evicted web-1' },
    {
      what: 'etcd: etcd.k3s.cattle.io/remove=true',
      ...{ agent: 'inactive', k3s: 'active', starts: false, restarts: false },
    },
    {
      what: 'node deleted',
      ...{ agent: 'inactive', k3s: 'inactive', starts: false, restarts: false },
    },
  ]);
  expect(await stateOf(machine)).toEqual(before);
});

test('another server that goes away in the middle is followed by the next one', async () => {
  const at2 = [...machine.web.entries()].filter(([url]) => url.startsWith('https://10.0.0.2'));
  for (const [url, served] of at2) {
    machine.web.set(url.replace('10.0.0.2', '10.0.0.3'), served);
  }
  cluster.onMemberOut = () => {
    for (const [url] of at2) {
      machine.web.delete(url);
    }
  };
  expect(JSON.parse((await leave()).stdout)).toMatchObject({ taken_out: true });
  expect(await stateOf(machine)).toEqual(before);
});

test('of two, one is left, and that is told before anybody says yes', async () => {
  cluster.members.delete('node-3');
  const asked = await machine.run(['leave', '--json'], { confirm: false });
  expect(errorOf(asked)).toMatchObject({ exitCode: 2, code: 'USAGE' });
  expect(asked.stderr).toContain('One server is left: the cluster stops when it does.');
  const plan = JSON.parse((await leave('--dry-run')).stdout);
  expect(plan.warnings).toEqual(['One server is left: the cluster stops when it does.']);
  expect(cluster.seen).toEqual([]);
  expect(JSON.parse((await leave()).stdout)).toMatchObject({ taken_out: true });
});

test('of four, nobody is warned', async () => {
  cluster.members.set('node-4', { votes: true, isWell: true });
  const ran = await leave();
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr).not.toContain('left, which');
});

test.each([
  ['lost', { votes: true, isWell: false }, 'These servers are not well: node-3'],
  ['joining', { votes: false, isWell: true }, 'A server is still joining: node-3'],
])('while another is %s it stays, with --force as well', async (_, member, message) => {
  cluster.members.set('node-3', member);
  const running = await stateOf(machine);
  for (const flags of [[], ['--force']]) {
    expect(errorOf(await leave(...flags))).toMatchObject({
      ...{ exitCode: 8, code: 'SERVERS_NOT_READY', message },
    });
  }
  expect(cluster.seen).toEqual([]);
  expect(await stateOf(machine)).toEqual(running);
});

test('another one that is lost while the pods are moved keeps it: it is a server as before', async () => {
  const running = await stateOf(machine);
  cluster.onEviction = () => cluster.members.set('node-3', { votes: true, isWell: false });
  cluster.pods.add('web-1');
  expect(errorOf(await leave())).toMatchObject({ code: 'SERVERS_NOT_READY' });
  expect(cluster.node?.spec).toEqual({ unschedulable: null });
  expect(await stateOf(machine)).toEqual(running);
});

test('k3s that does not take its member out keeps it: it is a server as before', async () => {
  const running = await stateOf(machine);
  cluster.takesMembersOut = false;
  const ran = await leave();
  expect(errorOf(ran)).toMatchObject({
    ...{ code: 'SERVERS_NOT_READY', message: 'k3s does not take this server out of etcd' },
  });
  expect(cluster.node?.metadata.annotations['etcd.k3s.cattle.io/remove']).toBeNull();
  expect(await stateOf(machine)).toEqual(running);
});

test('the last one is refused, and told the way that fits', async () => {
  cluster.members.clear();
  expect(errorOf(await leave('--force'))).toMatchObject({
    ...{ exitCode: 4, code: 'CLUSTER_EXISTS' },
    hint: expect.stringContaining('sudo pipeops-agent uninstall'),
  });
});

test('where nobody answers it goes with --force, and tells what is left to do', async () => {
  cluster.answersHere = false;
  expect(errorOf(await leave())).toMatchObject({ code: 'KUBERNETES_API' });
  const ran = await machine.run(['leave', '--yes', '--force']);
  expect(ran.stderr).toContain('as a server that is lost. Soon, on another: sudo k3s kubectl');
  expect(await machine.files.stat('/usr/local/bin/k3s')).toBeUndefined();
});

test.each(['failed', 'active'])(
  'a run that was ended while etcd was left goes on, k3s here is %s',
  async (state) => {
    const interrupt = new AbortController();
    cluster.pods.add('web-1');
    cluster.onMemberOut = () => {
      cluster.pods.add('cannot-end'); // Nobody is told any more when a pod has ended here.
      machine.units.set('k3s.service', state);
      interrupt.abort();
    };
    expect(errorOf(await machine.run(LEAVE, { ...FAST, signal: interrupt.signal }))).toMatchObject({
      ...{ exitCode: 130, code: 'INTERRUPTED' },
    });
    cluster.answersHere = false; // Its own API is gone with its etcd.
    expect(Object.keys(await machine.listing())).toContain(`${DROP_IN}/90-pipeops-leave.conf`);
    expect(errorOf(await machine.run(INSTALL, { env: INSTALL_ENV }))).toMatchObject({
      ...{ code: 'CLUSTER_EXISTS', message: 'This server is leaving its cluster' },
    });
    expect(JSON.parse((await leave()).stdout)).toMatchObject({ taken_out: true, evicted: [] });
    expect(await stateOf(machine)).toEqual(before);
  },
);

test('a run that was ended while etcd was left is uninstalled without a trace, but for the cluster', async () => {
  const interrupt = new AbortController();
  cluster.onMemberOut = () => interrupt.abort();
  await machine.run(LEAVE, { ...FAST, signal: interrupt.signal });
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  expect(await stateOf(machine)).toEqual(before);
  expect(cluster.hasPassword).toBe(true);
});

test(
  'killed anywhere, the next run ends it, and the cluster has forgotten the machine',
  async () => {
    let change = 1;
    for (; change < 300; change = nextKill(change)) {
      await using other = await simulatedMachine();
      await other.run([...INSTALL, '--ha'], { env: INSTALL_ENV });
      const its = await leavingCluster(other);
      its.pods.add('web-1');
      // As it goes with etcd's member: k3s ends here, and with it this server's own API.
      its.onMemberOut = () => {
        other.units.set('k3s.service', 'failed');
        its.answersHere = false;
      };
      other.killAt(change);
      if ((await other.run(LEAVE, FAST)).exitCode === 0) {
        break;
      }
      const ran = await other.run(LEAVE, FAST);
      const over = ran.exitCode !== 0 && errorOf(ran).code === 'NOT_INSTALLED';
      const { node, hasPassword } = its;
      const exitCode = over ? 0 : ran.exitCode;
      expect({ change, exitCode, node, hasPassword, ...(await stateOf(other)) }).toEqual({
        ...{ change, exitCode: 0, node: undefined, hasPassword: false },
        ...before,
      });
    }
    expect(change).toBeWithin(30, 300);
  },
  SWEEP_TIMEOUT_MS,
);
