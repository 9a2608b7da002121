/** By which address the cluster knows a node, and whether it keeps that. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { addressReserved, addressStillThere } from '../../../src/host/checks/kept-address.ts';
import type { FactDeps, Subject } from '../../../src/host/facts/fact.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { makeCertificates } from '../../support/tls.ts';
import { findingOf } from './outcome-of.ts';

const ADDRESS = '10.0.0.5';
const CERTIFICATE = '/var/lib/rancher/k3s/agent/serving-kubelet.crt';
const SERVER: Partial<Subject> = { role: 'server' };
const WORKER: Partial<Subject> = { role: 'worker', k3sRole: 'agent' };

let certificate: string;
beforeAll(async () => {
  certificate = (await makeCertificates(['node-1', 'localhost', '127.0.0.1', ADDRESS])).cert;
});
let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
  await machine.put(CERTIFICATE, certificate);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** A machine that has one address now, by DHCP. */
function having(address: string, subject: Partial<Subject>): FactDeps {
  const links = [
    { ifname: 'lo', addr_info: [{ local: '127.0.0.1' }] },
    { ifname: 'eth0', addr_info: [{ local: address, dynamic: true }] },
  ];
  return factDeps(machine.path, {
    subject: subjectOf(subject),
    addresses: () => [address],
    exec: { run: async () => ({ exitCode: 0, stdout: JSON.stringify(links), stderr: '' }) },
  });
}
const etcd = () => machine.put('/var/lib/rancher/k3s/server/db/etcd/name', 'node-1');

test('a node that has its address, and one whose k3s has never run, are all right', async () => {
  expect(await findingOf(addressStillThere, having(ADDRESS, SERVER))).toBeUndefined();
  await machine.put(CERTIFICATE, '');
  expect(await findingOf(addressStillThere, having('10.0.0.9', SERVER))).toBeUndefined();
});

test('an address of IPv6 is the same one, however the certificate writes it', async () => {
  const { cert } = await makeCertificates(['node-1', '127.0.0.1', '::1', 'fd00:77:1::a']);
  await machine.put(CERTIFICATE, cert);
  expect(await findingOf(addressStillThere, having('fd00:77:1::a', SERVER))).toBeUndefined();
  expect((await findingOf(addressStillThere, having('fd00:77:1::b', SERVER)))?.details).toEqual({
    known: ['fd00:77:1::a'],
    own: ['fd00:77:1::b'],
  });
});

test('another address wants a restart of k3s, on a server alone as on a worker', async () => {
  for (const [subject, unit] of [
    [SERVER, 'k3s.service'],
    [WORKER, 'k3s-agent.service'],
  ] as const) {
    expect(await findingOf(addressStillThere, having('10.0.0.9', subject))).toEqual({
      code: 'CHECK_FAILED',
      message: `k3s was started with the address ${ADDRESS}, which this machine has no more`,
      hint: 'Restart k3s, which takes the present one',
      fix: `sudo systemctl restart ${unit}`,
      details: { known: [ADDRESS], own: ['10.0.0.9'] },
    });
  }
});

test('where node-ip names the old one, or etcd knows it, a restart is not advised', async () => {
  await machine.put('/etc/rancher/k3s/config.yaml', `node-ip: ${ADDRESS}\n`);
  const told = await findingOf(addressStillThere, having('10.0.0.9', SERVER));
  expect([told?.hint, told?.fix]).toEqual([
    `k3s is told "node-ip: ${ADDRESS}": give the present address with --node-ip of install or join`,
    undefined,
  ]);
  await etcd();
  const member = await findingOf(addressStillThere, having('10.0.0.9', SERVER));
  expect([member?.hint, member?.fix]).toEqual([
    expect.stringMatching(/^Give the machine that address again: etcd's members know it by that\./),
    undefined,
  ]);
});

test('an address that DHCP lends is told where etcd depends on it, and not in a cloud', async () => {
  const found = async (subject: Partial<Subject>) =>
    (await findingOf(addressReserved, having(ADDRESS, subject)))?.message;
  const words = `The address ${ADDRESS} is lent by DHCP, and etcd needs one that stays`;
  expect(await found(SERVER)).toBeUndefined();
  expect(await found({ role: 'bare' })).toBe(words);
  await etcd();
  expect(await found(SERVER)).toBe(words);
  expect(
    await findingOf(addressReserved, having('10.0.0.9', SERVER)),
    'another link',
  ).toBeUndefined();
  await machine.put('/sys/class/dmi/id/sys_vendor', 'Hetzner\n');
  expect(await found(SERVER)).toBeUndefined();
});
