/** What `doctor --canary` says of what its pods met. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { type Outcome, runChecks } from '../../../src/host/checks/run.ts';
import { canaryChecks } from '../../../src/machine/canary/checks.ts';
import { API_TARGET, type CanarySeen } from '../../../src/machine/canary/look.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps } from '../../support/fact-deps.ts';

const REACHED = { name: 'b', trouble: null };
const DEAD = { name: 'b', trouble: 'no answer in 3.5 s' };
const API = { name: API_TARGET, trouble: null };
const WELL: CanarySeen = {
  node: 'a',
  notRunning: [],
  notReady: [],
  confinedBy: undefined,
  fromPod: { tcp: [REACHED, API], dns: null },
  fromHost: { tcp: [REACHED], dns: null },
  hasDns: true,
  wrongChecksums: 0,
};

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** Of the checks that are not all right: the finding's message and advice, or why it was not looked at. */
async function told(seen: Partial<CanarySeen>): Promise<Record<string, unknown>> {
  const checks = canaryChecks(async () => ({ ...WELL, ...seen }));
  const results = await runChecks(factDeps(machine.path), checks);
  const odd = results
    .filter(({ outcome }) => outcome.state !== 'ok')
    .map(({ id, outcome }) => [id, words(outcome)] as const);
  return Object.fromEntries(odd);
}

function words(outcome: Outcome): unknown {
  if (outcome.state === 'found') {
    const { message, fix, hint } = outcome.finding;
    return [message, fix ?? hint];
  }
  return outcome.state === 'not-checked' ? outcome.because : undefined;
}

test('nothing is said of a cluster whose pods reach each other', async () => {
  expect(await told({})).toEqual({});
});

test('pods that do not reach another node are told with the port that must be open', async () => {
  expect(
    await told({
      fromPod: { tcp: [DEAD, API], dns: null },
      fromHost: { tcp: [DEAD], dns: null },
    }),
  ).toEqual({
    'canary-network': [
      'from a pod here pods on b cannot be reached (no answer in 3.5 s); ' +
        'from this machine pods on b cannot be reached (no answer in 3.5 s)',
      'Let UDP 8472 (vxlan) pass between a and b, both ways, and packets of the pods: sudo pipeops-agent doctor, on each of them, names the rule; a cloud has a firewall of its own',
    ],
  });
});

test('wrong checksums meanwhile point to the network card', async () => {
  const dead = { tcp: [DEAD, API], dns: null };
  expect(await told({ fromPod: dead, wrongChecksums: 7 })).toEqual({
    'canary-network': [
      'from a pod here pods on b cannot be reached (no answer in 3.5 s)',
      'sudo ethtool -K flannel.1 tx-checksum-ip-generic off',
    ],
  });
});

test('an API that is dead for pods is a matter of this machine', async () => {
  const fromPod = { tcp: [REACHED, { ...API, trouble: 'no answer in 3.5 s' }], dns: null };
  expect(await told({ fromPod })).toEqual({
    'canary-network': [
      'from a pod here the API (Service kubernetes) cannot be reached (no answer in 3.5 s)',
      'Let packets of the pods pass the firewall of this machine: sudo pipeops-agent doctor names the rule',
    ],
  });
});

test('a DNS that is silent is told, and one that is not there is not looked at', async () => {
  const fromPod = { tcp: [REACHED, API], dns: 'no answer in 3.5 s' };
  expect(await told({ fromPod })).toEqual({
    'canary-dns': [
      "The cluster's DNS does not answer a pod here: no answer in 3.5 s",
      'See whether it runs, and where: sudo k3s kubectl --namespace kube-system get pods --output=wide --selector=k8s-app=kube-dns',
    ],
  });
  expect(await told({ hasDns: false })).toEqual({
    'canary-dns': 'the cluster has no Service kube-dns',
  });
});

test('a container that does not start is told with the words of its node', async () => {
  await machine.put('/sys/fs/selinux/enforce', '1');
  const notRunning = [{ node: 'a', why: 'CreateContainerError: permission denied' }];
  expect(await told({ notRunning, notReady: ['c'], fromPod: undefined })).toEqual({
    'canary-container': [
      'Of the canary: a container does not start on a (CreateContainerError: permission denied); node c is not Ready',
      'See what SELinux denied: sudo ausearch -m avc -ts recent',
    ],
    'canary-network': 'no pod runs on this machine',
    'canary-dns': 'no pod runs on this machine',
  });
});

test('SELinux and AppArmor must hold the container, where they are on', async () => {
  const loose = { confinedBy: 'system_u:system_r:unconfined_service_t:s0' };
  expect(await told(loose)).toEqual({});
  await machine.put('/sys/fs/selinux/enforce', '1');
  expect(await told(loose)).toMatchObject({
    'canary-container': [
      'Of the canary: SELinux is on, and does not hold a container on a (system_u:system_r:unconfined_service_t:s0)',
      'See what SELinux denied: sudo ausearch -m avc -ts recent',
    ],
  });
  expect(await told({ confinedBy: 'system_u:system_r:container_t:s0:c1,c2' })).toEqual({});
});
