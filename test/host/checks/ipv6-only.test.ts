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

test('a machine with IPv6 alone gets networks of IPv6 before k3s fails for them', async () => {
  const only6 = ['2001:db8::5', 'fe80::1', '169.254.7.7'];
  const finding = await found(only6);
  expect(finding?.message).toBe(
    'This machine has addresses of IPv6 alone, and pods would get 10.42.0.0/16',
  );
  const told = /printf '([^']*)'/.exec(finding?.fix ?? '')?.[1]?.replaceAll('\\n', '\n') ?? '';
  expect(told).toBe(
    'cluster-cidr: fd42:42:42::/56\nservice-cidr: fd42:42:43::/112\nflannel-ipv6-masq: true\n',
  );
  await machine.put('/etc/rancher/k3s/config.yaml', told);
  expect(await found(only6)).toBeUndefined();
});

test('where k3s is told networks already, no second ones are written beside them', async () => {
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 10.50.0.0/16\n');
  expect(await found(['2001:db8::5'])).toEqual({
    code: 'HOST_UNSUPPORTED',
    message: 'This machine has addresses of IPv6 alone, and pods would get 10.50.0.0/16',
    hint: 'Before the first installation, have these in /etc/rancher/k3s/config.yaml in the place of what k3s is told now: cluster-cidr: fd42:42:42::/56, service-cidr: fd42:42:43::/112, flannel-ipv6-masq: true',
    details: { addresses: ['2001:db8::5'] },
  });
});

test('nothing is said of other machines, nor of a worker, whose server decides', async () => {
  expect(await found(['10.0.0.5', '2001:db8::5'])).toBeUndefined();
  expect(await found([])).toBeUndefined();
  expect(await found(['2001:db8::5'], { k3sRole: 'agent' })).toBeUndefined();
});
