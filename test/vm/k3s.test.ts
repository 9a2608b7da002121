import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WEB_IMAGE, WEB_PORT } from './images.ts';
import { installK3s, waitForNode } from './k3s-install.ts';
import { type K3sMirror, startK3sMirror } from './k3s-mirror.ts';
import { type Lab, openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { compareStates } from './machine-state.ts';
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
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function kubectl(...args: string[]): Promise<string> {
  return (await server.exec(['k3s', 'kubectl', ...args])).stdout;
}

async function runWebPod(name: string, node: string): Promise<void> {
  const overrides = JSON.stringify({ spec: { nodeName: node } });
  await kubectl('run', name, `--image=${WEB_IMAGE}`, `--overrides=${overrides}`);
  await kubectl('wait', 'pod', name, '--for=condition=Ready', `--timeout=${POD_TIMEOUT_MS}ms`);
}

/** What the pod answers to the server, once it does: its address changes with a reboot. */
async function fetchFromPod(name: string): Promise<string> {
  return await waitUntil(`pod '${name}' answers`, POD_TIMEOUT_MS, async () => {
    const address = await kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}');
    const url = `http://${address}:${WEB_PORT}/`;
    return (await server.exec(['curl', '-fsS', '-m', '5', url])).stdout;
  });
}

test(
  'a mirror with a wrong hash makes the installer fail before it changes anything',
  async () => {
    const machine = await lab.boot({ name: 'untouched', base: 'plain' });
    const before = await machine.snapshotState();
    await using wrong = await startK3sMirror({ hostname: lab.hostAddress, wrongHash: true });
    await expect(installK3s(machine, wrong, { role: 'agent' })).rejects.toThrow(/SHA-256|verif/);
    expect(compareStates(before, await machine.snapshotState())).toEqual([]);
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
  'a cluster installs, joins, survives a reboot, and uninstalling leaves the machine as it was',
  async () => {
    const before = await server.snapshotState();
    await lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-k3s-test'), async () => {
      await installServer();
      await joinWorker();
      await rebootBoth();
    });
    await progress.phase('uninstall', () => server.exec(['/usr/local/bin/k3s-uninstall.sh']));
    expect(compareStates(before, await server.snapshotState())).toEqual([
      'files: + d 755 root:root /etc/rancher',
      'files: + d 755 root:root /etc/rancher/node',
      'files: + f 600 root:root /etc/rancher/node/password', // k3s' own uninstaller keeps it, too
      expect.stringMatching(/^contents: \+ .*\/etc\/rancher\/node\/password$/),
    ]);
  },
  TEST_TIMEOUT_MS,
);

async function installServer(): Promise<void> {
  await progress.phase('install server', () =>
    installK3s(server, mirror, { role: 'server', config: { 'node-ip': server.address } }),
  );
  await progress.phase('node ready', () => waitForNode(server, 'server'));
  await progress.phase('pod ready', () => runWebPod('web', 'server'));
  expect(await fetchFromPod('web')).toBe('hello from pod\n');
}

async function joinWorker(): Promise<void> {
  const created = await server.exec(['k3s', 'token', 'create', '--ttl', '10m']);
  await worker.writeFile('/etc/example-token', created.stdout, { mode: 0o600 });
  await progress.phase('join', async () => {
    const config = {
      server: `https://${server.address}:6443`,
      'token-file': '/etc/example-token',
      'node-ip': worker.address,
    };
    await installK3s(worker, mirror, { role: 'agent', config });
    await waitForNode(server, 'worker');
  });
  await progress.phase('pod ready', () => runWebPod('web-2', 'worker'));
  expect(await fetchFromPod('web-2')).toBe('hello from pod\n');
}

async function rebootBoth(): Promise<void> {
  await progress.phase('reboot', () => Promise.all([server.reboot(), worker.reboot()]));
  await progress.phase('pods answer', async () => {
    expect(await fetchFromPod('web')).toBe('hello from pod\n');
    expect(await fetchFromPod('web-2')).toBe('hello from pod\n');
  });
}
