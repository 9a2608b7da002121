import { afterEach, beforeEach, expect, test } from 'bun:test';
import { advertisedRouteStays } from '../../../src/host/checks/router-advertisements.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { findingOf } from './outcome-of.ts';

const K3S_CONFIG = '/etc/rancher/k3s/config.yaml';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
  await machine.put(K3S_CONFIG, 'cluster-cidr: 10.42.0.0/16,fd00:42::/56\n');
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** A machine whose default route of IPv6 by this link is of this protocol. */
const having = (dev: string, protocol: string) =>
  factDeps(machine.path, {
    subject: subjectOf({ role: 'server' }),
    exec: {
      run: async () => ({
        exitCode: 0,
        stdout: JSON.stringify([{ dst: 'default', gateway: 'fe80::1', dev, protocol }]),
        stderr: '',
      }),
    },
  });

const acceptRa = (link: string, value: number) =>
  machine.put(`/proc/sys/net/ipv6/conf/${link}/accept_ra`, `${value}\n`);

test('a default route that the kernel was told by a router ends once k3s has it forward', async () => {
  await acceptRa('eth0.7', 1);
  expect(await findingOf(advertisedRouteStays, having('eth0.7', 'ra'))).toEqual({
    code: 'CHECK_FAILED',
    message: 'The default route of IPv6 by eth0.7 will end while k3s runs',
    hint: 'Have the kernel hear routers although it forwards, now and at each start',
    fix:
      'sudo sysctl -w net.ipv6.conf.eth0/7.accept_ra=2\n' +
      'echo net.ipv6.conf.eth0/7.accept_ra=2 | sudo tee -a /etc/sysctl.d/zz-accept-ra.conf',
    details: { links: ['eth0.7'] },
  });
});

test.each([
  ['the kernel hears routers always', 2, 'ra'],
  ['another program hears them', 0, 'ra'],
  ['somebody has set it', 1, 'static'],
])('it stays where %s', async (_, value, protocol) => {
  await acceptRa('eth0', value);
  expect(await findingOf(advertisedRouteStays, having('eth0', protocol))).toBeUndefined();
});

test('it stays where pods have IPv4 alone', async () => {
  await acceptRa('eth0', 1);
  await machine.put(K3S_CONFIG, 'cluster-cidr: 10.42.0.0/16\n');
  expect(await findingOf(advertisedRouteStays, having('eth0', 'ra'))).toBeUndefined();
});
