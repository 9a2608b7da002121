import { afterEach, beforeEach, expect, test } from 'bun:test';
import { networksOfOwnVersion } from '../../../src/host/checks/ipv6-only.ts';
import type { Subject } from '../../../src/host/facts/fact.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { findingOf } from './outcome-of.ts';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const found = (addresses: readonly string[], subject: Partial<Subject> = {}) =>
  findingOf(
    networksOfOwnVersion,
    factDeps(machine.path, { addresses: () => addresses, subject: subjectOf(subject) }),
  );
/** With networks that somebody chose. */
const chosen = (pods: readonly string[], services: readonly string[]) =>
  subjectOf({ flags: { 'cluster-cidr': pods.join(','), 'service-cidr': services.join(',') } });
const ONLY_6 = [['fd50::/56'], ['fd51::/112']] as const;
const BOTH = [
  ['10.50.0.0/16', 'fd50::/56'],
  ['10.51.0.0/16', 'fd51::/112'],
] as const;

test('a machine with IPv6 alone is told that an installation takes networks of IPv6', async () => {
  const only6 = ['2001:db8::5', 'fe80::1', '169.254.7.7'];
  expect(await found(only6)).toEqual({
    code: 'HOST_UNSUPPORTED',
    message: 'This machine has no address of IPv4, and pods would get 10.42.0.0/16',
    hint: '"install" chooses networks of IPv6 by itself; to join a cluster the machine needs such an address',
    details: { addresses: ['2001:db8::5'] },
  });
  expect(await found(only6, chosen(...ONLY_6))).toBeUndefined();
});

test('networks of a version that the machine has not are refused, whoever chose them', async () => {
  expect(await found(['10.0.0.5'], chosen(...BOTH))).toMatchObject({
    message: 'This machine has no address of IPv6, and pods would get fd50::/56',
    hint: 'Choose others with --cluster-cidr and --service-cidr, or give the machine such an address',
  });
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 10.50.0.0/16\n');
  expect(await found(['2001:db8::5'])).toMatchObject({
    message: 'This machine has no address of IPv4, and pods would get 10.50.0.0/16',
    hint: 'Before the first installation, change cluster-cidr and service-cidr in /etc/rancher/k3s/config.yaml, or take them out: "install" chooses some by itself',
  });
});

test('nothing is said of other machines', async () => {
  expect(await found(['10.0.0.5', '2001:db8::5'])).toBeUndefined();
  expect(await found(['10.0.0.5', '2001:db8::5'], chosen(...BOTH))).toBeUndefined();
  expect(await found([])).toBeUndefined();
});
