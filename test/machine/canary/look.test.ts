/** The canary's pods: made, looked from, and gone, whatever comes in between. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const DOCTOR = ['doctor', '--canary', '--json'];
const K3S = '/usr/local/bin/k3s';
const node = (name: string) => ({
  metadata: { name },
  status: {
    conditions: [{ type: 'Ready', status: 'True' }],
    nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' },
  },
});
const pod = (nodeName: string, podIP: string, id: string) => ({
  spec: { nodeName },
  status: {
    phase: 'Running',
    podIP,
    containerStatuses: [{ containerID: `containerd://${id}`, state: { running: {} } }],
  },
});

let machine: SimulatedMachine;
let reached: object;
beforeEach(async () => {
  machine = await simulatedMachine();
  await machine.run(INSTALL, { env: INSTALL_ENV });
  machine.programs.set(K3S, (argv) => {
    const line = argv.slice(1).join(' ');
    if (line.startsWith('kubectl get nodes')) {
      return { stdout: JSON.stringify({ items: [node('other'), node('node-1')] }) };
    }
    if (line.startsWith('kubectl get service')) {
      const clusterIP = line.includes('kube-dns') ? '10.43.0.10' : '10.43.0.1';
      return { stdout: JSON.stringify({ spec: { clusterIP } }) };
    }
    if (line.startsWith('kubectl get pods') && line.includes('pipeops.io/canary')) {
      const items = [pod('node-1', '10.42.0.9', 'abc'), pod('other', '10.42.1.9', 'def')];
      return { stdout: JSON.stringify({ items }) };
    }
    if (line.startsWith('ctr --namespace k8s.io tasks ls')) {
      return { stdout: 'TASK    PID     STATUS\nabc     4711    RUNNING\n' };
    }
    return /^kubectl (create|delete) .*canary|^kubectl create --namespace/.test(line)
      ? {}
      : undefined;
  });
  machine.programs.set('nsenter', () => ({ stdout: JSON.stringify(reached) }));
  reached = { tcp: [{ name: 'other', trouble: null }], dns: null };
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const states = async () => {
  const { stdout } = await machine.run(DOCTOR);
  const { checks } = JSON.parse(stdout) as { checks: { id: string; state: string }[] };
  const own = checks.filter(({ id }) => id.startsWith('canary-'));
  return own.map(({ id, state }) => `${id} ${state}`);
};
const verbs = () =>
  machine.calls
    .filter(({ argv }) => argv[0] === K3S && ['create', 'delete'].includes(argv[2] ?? ''))
    .map(({ argv }) => argv[2]);

test('a pod on each node is started, looked from, and taken away', async () => {
  expect(await states()).toEqual(['canary-container ok', 'canary-network ok', 'canary-dns ok']);
  expect(verbs().slice(-3)).toEqual(['delete', 'create', 'delete']);
  const made = machine.calls.findLast(({ argv }) => argv[0] === K3S && argv[2] === 'create');
  const { items } = JSON.parse(made?.stdin ?? '{}') as {
    items: { spec: { nodeName: string; activeDeadlineSeconds: number } }[];
  };
  expect(items.map(({ spec }) => [spec.nodeName, spec.activeDeadlineSeconds])).toEqual([
    ['node-1', 120],
    ['other', 120],
  ]);
  const inside = machine.calls.find(({ argv }) => argv[0] === 'nsenter')?.argv ?? [];
  expect(inside.slice(1, 6)).toEqual([
    '--net=/proc/4711/ns/net',
    '--',
    '/root/agent',
    'canary',
    'reach',
  ]);
  expect(JSON.parse(inside[6] ?? '')).toEqual({
    tcp: [
      { name: 'other', address: '10.42.1.9', port: 9 },
      { name: 'the API (Service kubernetes)', address: '10.43.0.1', port: 443 },
    ],
    dns: { server: '10.43.0.10', name: 'kubernetes.default.svc.cluster.local' },
  });
});

test('its pods are taken away also where it cannot look', async () => {
  machine.programs.set('nsenter', () => ({ exitCode: 1, stderr: 'no such process\n' }));
  expect(await states()).toEqual([
    'canary-container found',
    'canary-network found',
    'canary-dns found',
  ]);
  expect(verbs().at(-1)).toBe('delete');
});

test('what is no list of targets is refused', async () => {
  expect(await machine.run(['canary', 'reach', '{}'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('[USAGE]'),
  });
  const { stdout } = await machine.run([
    ...['canary', 'reach'],
    '{"tcp":[{"name":"x","address":"10.0.0.9","port":9}],"dns":null}',
  ]);
  expect(JSON.parse(stdout)).toEqual({ tcp: [{ name: 'x', trouble: null }], dns: null });
});
