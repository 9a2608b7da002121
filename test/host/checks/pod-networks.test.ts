import { afterEach, beforeEach, expect, test } from 'bun:test';
import { ipRange } from '../../../src/core/ip-range.ts';
import { defaultRouteThere } from '../../../src/host/checks/default-route.ts';
import { freePair } from '../../../src/host/checks/free-networks.ts';
import { podNetworksFree, podRoutesFree } from '../../../src/host/checks/pod-networks.ts';
import { type FactDeps, factsOf } from '../../../src/host/facts/fact.ts';
import { ipRoutes } from '../../../src/host/facts/ip-routes.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { findingOf } from './outcome-of.ts';

const DEFAULT = { dst: 'default', gateway: '10.0.0.254', dev: 'eth0', flags: [] };

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** A machine whose ip(8) shows these routes, and which has these addresses. */
function routing(rows: readonly object[], addresses: readonly string[] = ['10.0.0.1']): FactDeps {
  return factDeps(machine.path, {
    addresses: () => addresses,
    exec: {
      run: async (argv) => ({
        exitCode: 0,
        stdout: JSON.stringify(argv.includes('-4') ? rows : []),
        stderr: '',
      }),
    },
  });
}

test('nothing is said of a machine whose network is elsewhere', async () => {
  const deps = routing([DEFAULT, { dst: '10.0.0.0/24', dev: 'eth0' }]);
  expect(await findingOf(podNetworksFree, deps)).toBeUndefined();
  expect(await findingOf(podRoutesFree, deps)).toBeUndefined();
  expect(await findingOf(defaultRouteThere, deps)).toBeUndefined();
});

test('an address of its own among those of pods stops an installation, and a free pair is named', async () => {
  const deps = routing([DEFAULT, { dst: '10.43.0.0/20', dev: 'eth0' }], ['10.43.0.17']);
  expect(await findingOf(podNetworksFree, deps)).toMatchObject({
    code: 'CHECK_FAILED',
    message:
      'Addresses of pods and Services are used already: the address 10.43.0.17 is in 10.43.0.0/16',
    hint: '"install" takes 10.44.0.0/16 and 10.45.0.0/16 in their place by itself; "join" cannot: there take it away',
  });
  const chosen = (cidr: string) =>
    findingOf(podNetworksFree, {
      ...deps,
      subject: subjectOf({ flags: { 'service-cidr': cidr } }),
    });
  expect(await chosen('10.43.16.0/20')).toBeUndefined();
  expect((await chosen('10.43.0.0/20'))?.hint).toBe(
    'Take that away, or choose others: --cluster-cidr 10.44.0.0/16 --service-cidr 10.45.0.0/16',
  );
});

test('so does a resolver there', async () => {
  await machine.put('/etc/resolv.conf', 'nameserver 10.42.0.53\n');
  expect((await findingOf(podNetworksFree, routing([DEFAULT])))?.message).toBe(
    'Addresses of pods and Services are used already: the resolver 10.42.0.53 is in 10.42.0.0/16',
  );
});

test('a route of a VPN is named with its link, from whichever table', async () => {
  const vpn = { dst: '10.40.0.0/13', dev: 'wg0', table: '51820' };
  expect(await findingOf(podRoutesFree, routing([DEFAULT, vpn]))).toMatchObject({
    message:
      'Addresses of pods and Services are used already: 10.40.0.0/13 is routed over wg0 and overlaps 10.42.0.0/16',
    details: { free: { pods: '10.48.0.0/16', services: '10.49.0.0/16' } },
  });
});

test("k3s' own routes are none of others", async () => {
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 10.42.0.0/16,fd42::/56\n');
  const own = [
    DEFAULT,
    { dst: '10.42.0.0/24', dev: 'cni0', prefsrc: '10.42.0.1' },
    { dst: '10.42.1.0/24', gateway: '10.42.1.0', dev: 'flannel.1', flags: ['onlink'] },
    { dst: '10.42.2.0/24', gateway: '10.0.0.7', dev: 'eth0' },
    { dst: 'fd42:0:0:1::/64', gateway: 'fd00::7', dev: 'eth0' },
    { type: 'local', dst: '10.42.0.1', dev: 'cni0', table: 'local' },
  ];
  expect(await findingOf(podRoutesFree, routing(own))).toBeUndefined();
});

test('other networks that k3s was told of count in their place', async () => {
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 172.20.0.0/16,fd01::/56\n');
  const deps = routing([DEFAULT, { dst: '10.42.0.0/16', dev: 'wg0' }], ['172.20.1.1']);
  expect(await findingOf(podRoutesFree, deps)).toBeUndefined();
  expect((await findingOf(podNetworksFree, deps))?.message).toContain('172.20.1.1');
});

test('lines for a file are told only where they would help', async () => {
  const vpn = routing([DEFAULT, { dst: '10.42.0.0/16', dev: 'wg0' }]);
  const installed = subjectOf({ role: 'server' });
  expect(await findingOf(podRoutesFree, { ...vpn, subject: installed })).toEqual({
    code: 'CHECK_FAILED',
    message: 'Addresses of pods and Services are used already: 10.42.0.0/16 is routed over wg0',
    hint: 'Take that away: the networks of a cluster cannot be changed once it is there',
    details: {
      taken: ['10.42.0.0/16 is routed over wg0'],
      free: null,
      networks: ['10.42.0.0/16', '10.43.0.0/16'],
    },
  });
  // Said twice, k3s would take both.
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 10.40.0.0/14\n');
  expect(await findingOf(podRoutesFree, vpn)).toEqual({
    code: 'CHECK_FAILED',
    message:
      'Addresses of pods and Services are used already: 10.42.0.0/16 is routed over wg0 and overlaps 10.40.0.0/14',
    hint: 'Take that away, or before the first installation change cluster-cidr to 10.44.0.0/16 and service-cidr to 10.45.0.0/16 where k3s is told them: /etc/rancher/k3s/config.yaml',
    details: {
      taken: ['10.42.0.0/16 is routed over wg0 and overlaps 10.40.0.0/14'],
      free: { pods: '10.44.0.0/16', services: '10.45.0.0/16' },
      networks: ['10.40.0.0/14', '10.43.0.0/16'],
    },
  });
});

test('where everything is taken no pair is free', () => {
  expect(freePair([])).toEqual({ pods: '10.44.0.0/16', services: '10.45.0.0/16' });
  const taken = (...texts: readonly string[]) => texts.flatMap((text) => ipRange(text) ?? []);
  const ten = taken('10.0.0.0/8', '172.16.0.0/14');
  expect(freePair(ten)).toEqual({ pods: '172.20.0.0/16', services: '172.21.0.0/16' });
  expect(freePair([...ten, ...taken('172.16.0.0/12')])).toBeUndefined();
  expect(freePair(ten, 6)).toEqual({ pods: 'fd42:42:42::/56', services: 'fd42:42:43::/112' });
  expect(freePair(taken('fd42:42:42::/48'), 6)?.pods).toBe('fd42:42:44::/56');
});

test('without ip(8) the routes of the kernel are read', async () => {
  await machine.put(
    '/proc/net/route',
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n' +
      'eth0\t00000000\tFE00000A\t0003\t0\t0\t0\t00000000\t0\n' +
      'wg0\t0000280A\t00000000\t0001\t0\t0\t0\t0000F8FF\t0\n',
  );
  expect(await factsOf(factDeps(machine.path))(ipRoutes)).toEqual([
    { destination: '0.0.0.0/0', device: 'eth0', hasGateway: true },
    { destination: '10.40.0.0/13', device: 'wg0', hasGateway: false },
  ]);
});

test('without ip(8) a machine that has only IPv6 has its default route too', async () => {
  const row = (to: string, bits: string, flags: string, link: string) =>
    `${to} ${bits} ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000400 00000002 00000000 ${flags} ${link}\n`;
  await machine.put('/proc/net/route', 'Iface\tDestination\tGateway \tFlags\n');
  const prefix = '20010db8000000000000000000000000';
  await machine.put(
    '/proc/net/ipv6_route',
    row(prefix, '40', '00000001', '    eth0') +
      row('0'.repeat(32), '00', '00000003', '    eth0') +
      row(`${prefix.slice(0, -1)}1`, '80', '80200001', '    eth0') +
      row(`ff${'0'.repeat(30)}`, '08', '00000001', '    eth0') +
      row('0'.repeat(32), '00', '00200200', '      lo'),
  );
  const deps = factDeps(machine.path);
  expect(await factsOf(deps)(ipRoutes)).toEqual([
    {
      destination: '2001:0db8:0000:0000:0000:0000:0000:0000/64',
      device: 'eth0',
      hasGateway: false,
    },
    { destination: '::/0', device: 'eth0', hasGateway: true },
  ]);
  expect(await findingOf(defaultRouteThere, deps)).toBeUndefined();
});

test('a machine without a default route is told how to get one', async () => {
  const finding = await findingOf(
    defaultRouteThere,
    routing([{ dst: '10.0.0.0/24', dev: 'eth0' }]),
  );
  expect(finding).toMatchObject({ message: 'This machine has no default route' });
  expect(finding?.fix).toContain('sudo ip link add dummy0 type dummy');
});
