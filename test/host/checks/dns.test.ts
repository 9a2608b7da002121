import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Probe, ResolverAnswer } from '../../../src/core/probe.ts';
import { dnsReachesPods } from '../../../src/host/checks/dns-for-pods.ts';
import { resolversAnswer } from '../../../src/host/checks/dns-resolvers.ts';
import { hostnameResolves } from '../../../src/host/checks/own-name.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { QUIET_PROBE } from '../../support/quiet-probe.ts';
import { findingOf } from './outcome-of.ts';

const RESOLV_CONF = '/etc/resolv.conf';
const RESOLVED = '/run/systemd/resolve/resolv.conf';
const STUB = 'nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const deps = (probe: Partial<Probe> = {}) =>
  factDeps(machine.path, { probe: async () => ({ ...QUIET_PROBE, ...probe }) });

/** Resolvers that answer as they are listed, and what they were asked. */
function resolvers(answers: Readonly<Record<string, ResolverAnswer>>) {
  const asked: string[] = [];
  const askResolver: Probe['askResolver'] = async (server, name) => {
    asked.push(`${server} ${name}`);
    return answers[server] ?? { kind: 'answered', ms: 1 };
  };
  return { asked, askResolver };
}

test('each resolver of the file is asked for the name of the control plane', async () => {
  await machine.put(RESOLV_CONF, '# by hand\nnameserver 10.0.0.2\nnameserver\tfd00::2 \n');
  const { asked, askResolver } = resolvers({});
  expect(await findingOf(resolversAnswer, deps({ askResolver }))).toBeUndefined();
  expect(asked).toEqual(['10.0.0.2 api.pipeops.io', 'fd00::2 api.pipeops.io']);
});

test('a control plane without a name has another one asked for', async () => {
  const { asked, askResolver } = resolvers({});
  const subject = subjectOf({ env: { PIPEOPS_API_URL: 'https://[fd00::9]:8443' } });
  await findingOf(resolversAnswer, { ...deps({ askResolver }), subject });
  expect(asked).toEqual(['10.0.0.2 update.k3s.io']);
});

test('a resolver that stays silent is named with its file', async () => {
  await machine.put(RESOLV_CONF, 'nameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n');
  const { askResolver } = resolvers({
    '10.0.0.3': { kind: 'silent' },
    '10.0.0.4': { kind: 'unreachable', why: 'it refuses connections' },
  });
  expect(await findingOf(resolversAnswer, deps({ askResolver }))).toMatchObject({
    code: 'CHECK_FAILED',
    message:
      'Not all resolvers answer: 10.0.0.3 stays silent, 10.0.0.4: it refuses connections (/etc/resolv.conf)',
  });
});

test('a stub that stays silent is a service that has ended', async () => {
  await machine.put(RESOLV_CONF, STUB);
  const { askResolver } = resolvers({ '127.0.0.53': { kind: 'silent' } });
  expect(await findingOf(resolversAnswer, deps({ askResolver }))).toMatchObject({
    message: 'No resolver answers: 127.0.0.53 stays silent (/etc/resolv.conf)',
    fix: 'sudo systemctl restart systemd-resolved',
  });
});

test.each([
  ['', '# nothing\n'],
  ['options', 'options rotate\n'],
])('a file without a resolver is named (%s)', async (_, text) => {
  await machine.put(RESOLV_CONF, text);
  expect((await findingOf(resolversAnswer, deps()))?.message).toBe(
    '/etc/resolv.conf names no resolver: only names in /etc/hosts can be resolved',
  );
});

test('pods get the resolvers behind the stub of systemd-resolved', async () => {
  await machine.put(RESOLV_CONF, STUB);
  await machine.put(RESOLVED, 'nameserver 10.0.0.2\n');
  expect(await findingOf(dnsReachesPods, deps())).toBeUndefined();
});

test('where only loopback is known, k3s makes resolvers up', async () => {
  await machine.put(RESOLV_CONF, 'nameserver 127.0.0.1\n');
  expect((await findingOf(dnsReachesPods, deps()))?.message).toBe(
    '/etc/resolv.conf has only resolvers that pods cannot reach (127.0.0.1), so k3s gives them 8.8.8.8',
  );
});

test("a cloud's resolver beside its metadata is one that pods reach", async () => {
  await machine.put(RESOLV_CONF, 'nameserver 169.254.169.254\n');
  expect(await findingOf(dnsReachesPods, deps())).toBeUndefined();
});

test('a stub that somebody has chosen for k3s leads CoreDNS to itself', async () => {
  await machine.put(RESOLV_CONF, STUB);
  await machine.put(RESOLVED, 'nameserver 10.0.0.2\n');
  await machine.put('/etc/rancher/k3s/config.yaml', 'resolv-conf: /etc/resolv.conf\n');
  expect((await findingOf(dnsReachesPods, deps()))?.message).toBe(
    'resolv-conf of k3s is /etc/resolv.conf, where 127.0.0.53 leads CoreDNS to itself: it ends with "Loop detected"',
  );
  await machine.put('/etc/rancher/k3s/config.yaml', `resolv-conf: ${RESOLVED}\n`);
  expect(await findingOf(dnsReachesPods, deps())).toBeUndefined();
});

test.each([
  [29, undefined],
  [30, '/etc/resolv.conf has 30 search domains of 349 characters: pods get only some of them'],
])('pods take 32 search domains, three of the cluster among them: %i', async (count, message) => {
  const domains = Array.from({ length: count }, (_, index) => `d${index}.example`);
  await machine.put(RESOLV_CONF, `nameserver 10.0.0.2\nsearch ${domains.join(' ')}\n`);
  expect((await findingOf(dnsReachesPods, deps()))?.message).toBe(message as string);
});

test('pods take three resolvers', async () => {
  const four = [1, 2, 3, 4].map((last) => `nameserver 10.0.0.${last}\n`).join('');
  await machine.put(RESOLV_CONF, four);
  expect((await findingOf(dnsReachesPods, deps()))?.message).toBe(
    '/etc/resolv.conf has 4 resolvers: pods get only the first 3',
  );
});

test("the machine's own name leads to itself, nowhere, or elsewhere", async () => {
  const named = (resolve: Probe['resolve']) =>
    findingOf(hostnameResolves, { ...deps({ resolve }), addresses: () => ['10.0.0.1'] });
  expect(await named(async () => ['127.0.1.1', '10.0.0.1'])).toBeUndefined();
  expect(await named(async () => ['10.0.0.1', '192.0.2.7'])).toMatchObject({
    message: 'The name of this machine, node-1, leads to 192.0.2.7, which is not this machine',
  });
  const unknown = Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
  expect(await named(() => Promise.reject(unknown))).toMatchObject({
    message: 'The name of this machine, node-1, leads nowhere: its name cannot be resolved',
    fix: "echo '127.0.1.1 node-1' | sudo tee -a /etc/hosts",
  });
});
