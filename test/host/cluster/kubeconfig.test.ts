import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import { clusterKubeconfig } from '../../../src/host/cluster/kubeconfig.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps } from '../../support/fact-deps.ts';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
  await machine.put('/var/lib/rancher/k3s/server/tls/server-ca.crt', 'PEM');
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** What others get of the kubeconfig that k3s has written for itself. */
async function sharedBy(address: string, local: string): Promise<string> {
  await machine.put('/etc/rancher/k3s/k3s.yaml', `clusters:\n- cluster: {server: "${local}"}\n`);
  const node = {
    metadata: { name: 'node-1', labels: { 'node-role.kubernetes.io/control-plane': 'true' } },
    status: {
      addresses: [{ type: 'InternalIP', address }],
      nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' },
    },
  };
  const { clock, files } = factDeps(machine.path);
  const run = async () => ({ exitCode: 0, stdout: JSON.stringify({ items: [node] }), stderr: '' });
  return await clusterKubeconfig({ clock, files, exec: { run }, places: placesOf() });
}

test.each([
  ['10.0.0.1', 'https://127.0.0.1:6443', 'https://10.0.0.1:6443'],
  ['fd00:77:1::a', 'https://[::1]:6443', 'https://[fd00:77:1::a]:6443'],
  ['fd00:77:1::a', 'https://127.0.0.1:6443', 'https://[fd00:77:1::a]:6443'],
])('of a server at %s, k3s at %s is named %s for other machines', async (address, local, named) => {
  expect(await sharedBy(address, local)).toBe(`clusters:\n- cluster: {server: "${named}"}\n`);
});
