/** A server and a worker go to the next minor version of k3s under a load that does not notice, through a power cut. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { K3S_VERSION } from '../vm/k3s-build.ts';
import { prepareK3sRelease } from '../vm/k3s-release.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import {
  bootTwo,
  installByOneLine,
  joinByToken,
  openStand,
  type Stand,
  TOKEN_FILE,
} from './stand.ts';
import { NEXT_K3S, upgradeK3s, versionsOf } from './upgrade-k3s/cluster.ts';
import { startLoad } from './upgrade-k3s/load.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 240_000;
/**
 * Both nodes share two processors with other tests: one that does not get its turn is not ready for a while, and
 * Kubernetes sends nobody to its pods.
 */
const FAILED_SHARE_MAX = 0.03;
const RECORD = '/var/lib/pipeops-agent-host/k3s-upgrade.json';

const progress = reportProgress('upgrade-k3s');
let stand: Stand;
let server: Machine;
let worker: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  const next = await progress.phase('the next k3s', (tell) => prepareK3sRelease(NEXT_K3S, tell));
  stand = await openStand('upgrade-k3s', { otherK3s: [next] });
  [server, worker] = await bootTwo(stand);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

test(
  'a cluster goes to the next minor version of k3s, and its application answers all along',
  async () => {
    await stand.equip(server);
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-upgrade-k3s'), async () => {
      await progress.phase('install', () =>
        installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--cluster-name', 'up']),
      );
      await progress.phase('join', () => joinByToken(stand, server, worker));
      const stopLoad = await progress.phase('the application', () => startLoad(server, worker));
      await progress.phase('what may not be', refuse);
      await progress.phase('the power of the server is cut', cutPower);
      const ran = await progress.phase('the rest', () => upgradeK3s(server, '--to', NEXT_K3S));
      expect(ran).toMatchObject({ nodes: [{ node: 'worker', role: 'worker', from: K3S_VERSION }] });
      expect(await versionsOf(server)).toEqual([`server ${NEXT_K3S}`, `worker ${NEXT_K3S}`]);
      const { asked, failed } = await stopLoad();
      process.stderr.write(`    the application was asked ${asked} times\n`);
      expect(asked).toBeGreaterThan(100);
      expect(failed / asked).toBeLessThan(FAILED_SHARE_MAX);
    });
  },
  TEST_TIMEOUT_MS,
);

async function refuse(): Promise<void> {
  expect((await upgradeK3s(server, '--to', 'v1.38.0+k3s1')).error).toMatchObject({
    code: 'VERSION_REFUSED',
    hint: 'First: sudo pipeops-agent upgrade k3s --channel v1.37',
  });
  // No worker before its servers.
  expect((await upgradeK3s(worker, '--to', NEXT_K3S)).error).toMatchObject({
    code: 'VERSION_REFUSED',
  });
  expect(await versionsOf(server)).toEqual([`server ${K3S_VERSION}`, `worker ${K3S_VERSION}`]);
}

/** In the middle of its own upgrade, with all pods on the worker: it goes on by itself when it is back. */
async function cutPower(): Promise<void> {
  const upgrading = upgradeK3s(server, '--to', NEXT_K3S).catch(() => undefined); // It ends with its machine.
  await waitUntil('the new k3s starts', SETTLE_TIMEOUT_MS, async () => {
    const record = await server.exec(['cat', RECORD], { check: false });
    return record.stdout.includes('"judge"');
  });
  await server.kill();
  await upgrading;
  await server.start();
  await waitUntil('the upgrade has ended', SETTLE_TIMEOUT_MS, async () => {
    return (await server.exec(['test', '-e', RECORD], { check: false })).exitCode !== 0;
  });
  expect(await versionsOf(server)).toEqual([`server ${NEXT_K3S}`, `worker ${K3S_VERSION}`]);
}
