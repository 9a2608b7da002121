import { afterAll, beforeAll, expect, test } from 'bun:test';
import { WEB_IMAGE, WEB_PORT } from './images.ts';
import { installK3s, waitForNode } from './k3s-install.ts';
import { type K3sMirror, startK3sMirror } from './k3s-mirror.ts';
import { type Lab, openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { compareStates, type MachineState } from './machine-state.ts';
import { prepareTestMachines } from './prepare.ts';
import { reportProgress } from './progress.ts';
import { waitUntil } from './wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 300_000;
const POD_TIMEOUT_MS = 60_000;

const progress = reportProgress('k3s.test');
let lab: Lab;
let server: Machine;
let worker: Machine;
let mirror: K3sMirror;
let before: MachineState;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'k3s' });
  mirror = await startK3sMirror({ hostname: lab.hostAddress });
  [server, worker] = await progress.phase('boot', () =>
    Promise.all([
      lab.boot({ name: 'server', base: 'kubernetes', images: true }),
      lab.boot({ name: 'worker', base: 'kubernetes', images: true }),
    ]),
  );
  before = await server.snapshotState();
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function kubectl(...args: string[]): Promise<string> {
  return (await server.exec(['k3s', 'kubectl', ...args])).stdout;
}

/** The pod's address, once it runs. */
async function runWebPod(name: string, node: string): Promise<string> {
  const overrides = JSON.stringify({ spec: { nodeName: node } });
  await kubectl('run', name, `--image=${WEB_IMAGE}`, `--overrides=${overrides}`);
  await kubectl('wait', 'pod', name, '--for=condition=Ready', `--timeout=${POD_TIMEOUT_MS}ms`);
  return await kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}');
}

async function fetchFromPod(address: string): Promise<string> {
  return await waitUntil(`the pod at ${address} answers`, POD_TIMEOUT_MS, async () => {
    const url = `http://${address}:${WEB_PORT}/`;
    return (await server.exec(['curl', '-fsS', '-m', '5', url])).stdout;
  });
}

test(
  'a mirror with a wrong hash makes the installer fail before it changes anything',
  async () => {
    await using wrong = await startK3sMirror({ hostname: lab.hostAddress, wrongHash: true });
    await expect(installK3s(worker, wrong, { role: 'agent' })).rejects.toThrow(/SHA-256|verif/);
    expect(
      (await worker.exec(['test', '-e', '/usr/local/bin/k3s'], { check: false })).exitCode,
    ).toBe(1);
  },
  TEST_TIMEOUT_MS,
);

test(
  'the channel redirects to the version, as update.k3s.io does',
  async () => {
    const format = '%{url_effective}';
    const { stdout } = await server.exec([
      ...['curl', '-fsSL', '-o', '/dev/null', '-w', format, `${mirror.url}/channels/stable`],
    ]);
    expect(stdout.split('/').at(-1)).toBe(mirror.version);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a server installs through the mirror, becomes ready and runs a pod that answers',
  async () => {
    await progress.phase('install server', () =>
      installK3s(server, mirror, { role: 'server', config: { 'node-ip': server.address } }),
    );
    await progress.phase('node ready', () => waitForNode(server, 'server'));
    const address = await progress.phase('pod ready', () => runWebPod('web', 'server'));
    expect(await fetchFromPod(address)).toBe('hello from pod\n');
  },
  TEST_TIMEOUT_MS,
);

test(
  'a worker joins with a bootstrap token, and its pods are reached from the server',
  async () => {
    const created = await server.exec(['k3s', 'token', 'create', '--ttl', '10m']);
    await worker.writeFile('/etc/example-token', created.stdout, { mode: 0o600 });
    await progress.phase('join', async () => {
      await installK3s(worker, mirror, {
        role: 'agent',
        config: {
          server: `https://${server.address}:6443`,
          'token-file': '/etc/example-token',
          'node-ip': worker.address,
        },
      });
      await waitForNode(server, 'worker');
    });
    const address = await progress.phase('pod ready', () => runWebPod('web-2', 'worker'));
    expect(await fetchFromPod(address)).toBe('hello from pod\n');
  },
  TEST_TIMEOUT_MS,
);

test(
  'both machines come back after a reboot, and the pods answer again',
  async () => {
    await progress.phase('reboot', () => Promise.all([server.reboot(), worker.reboot()]));
    await progress.phase('pods answer', async () => {
      for (const pod of ['web', 'web-2']) {
        await waitUntil(`${pod} answers`, POD_TIMEOUT_MS, async () => {
          const address = await kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.podIP}');
          return (await fetchOnce(address)) === 'hello from pod\n';
        });
      }
    });
  },
  TEST_TIMEOUT_MS,
);

async function fetchOnce(address: string): Promise<string> {
  return (await server.exec(['curl', '-fsS', '-m', '2', `http://${address}:${WEB_PORT}/`])).stdout;
}

test(
  'uninstalling leaves the server as it was, apart from the node password',
  async () => {
    await progress.phase('uninstall', () => server.exec(['/usr/local/bin/k3s-uninstall.sh']));
    expect(compareStates(before, await server.snapshotState())).toEqual([
      'files: + d 755 root:root /etc/rancher',
      'files: + d 755 root:root /etc/rancher/node',
      'files: + f 600 root:root /etc/rancher/node/password',
      expect.stringMatching(/^contents: \+ .*\/etc\/rancher\/node\/password$/),
    ]);
  },
  TEST_TIMEOUT_MS,
);
