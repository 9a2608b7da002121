/**
 * The control plane brings a server and a worker to the next minor version of k3s, under a load that does not notice,
 * through a power cut.
 */
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
let agentId = '';

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
      agentId = (await stand.registeredAgent()).id;
      const id = await progress.phase('a person says yes', approve);
      await progress.phase('the power of the server is cut', cutPower);
      await progress.phase('the rest', () => finish(id));
      expect(await versionsOf(server)).toEqual([`server ${NEXT_K3S}`, `worker ${NEXT_K3S}`]);
      const { asked, failed } = await stopLoad();
      process.stderr.write(`    the application was asked ${asked} times\n`);
      expect(asked).toBeGreaterThan(100);
      expect(failed.length / asked).toBeLessThan(FAILED_SHARE_MAX);
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

/** @returns the id of the command */
async function approve(): Promise<string> {
  const id = await stand.command(agentId, 'upgrade_k3s', { version: NEXT_K3S });
  const asked = await waitUntil('a person is asked', SETTLE_TIMEOUT_MS, async () => {
    const shown = await server.exec(['pipeops-agent', 'host', 'asked', '--json']);
    return (JSON.parse(shown.stdout).asked as { id: string }[])[0]?.id;
  });
  expect(await versionsOf(server)).toEqual([`server ${K3S_VERSION}`, `worker ${K3S_VERSION}`]);
  await server.exec(['pipeops-agent', 'host', 'approve', asked]);
  return id;
}

/** In the middle of its own upgrade, with all pods on the worker: it goes on by itself when it is back. */
async function cutPower(): Promise<void> {
  await waitUntil('the new k3s starts', SETTLE_TIMEOUT_MS, async () => {
    const record = await server.exec(['cat', RECORD], { check: false });
    return record.stdout.includes('"judge"');
  });
  await server.kill();
  await server.start();
}

/** The command goes on as well, and has one result. */
async function finish(id: string): Promise<void> {
  const { result, extra_results } = await waitUntil(
    'the command has ended',
    SETTLE_TIMEOUT_MS,
    () => stand.finished(agentId, id).catch(() => undefined),
  );
  expect(extra_results).toBe(0);
  expect(result).toMatchObject({
    success: true,
    data: {
      version: NEXT_K3S,
      nodes: [
        { node: 'server', role: 'server', from: K3S_VERSION, state: 'done' },
        { node: 'worker', role: 'worker', from: K3S_VERSION, state: 'done' },
      ],
    },
  });
  expect(await upgradeK3s(server, '--to', NEXT_K3S)).toMatchObject({ nodes: [] });
}
