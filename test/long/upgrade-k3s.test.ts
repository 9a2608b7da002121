/** Three servers and a worker go to the next minor version of k3s under a load that does not notice. */
import { expect, test } from 'bun:test';
import { joinServer, openServerRig } from '../e2e/leave/server-rig.ts';
import { joinByToken, openStand } from '../e2e/stand.ts';
import { lookOften, NEXT_K3S, upgradeK3s, versionsOf } from '../e2e/upgrade-k3s/cluster.ts';
import { startLoad } from '../e2e/upgrade-k3s/load.ts';
import { voters } from '../vm/etcd-voters.ts';
import { K3S_VERSION } from '../vm/k3s-build.ts';
import { prepareK3sRelease } from '../vm/k3s-release.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 60 * 60_000;

const progress = reportProgress('upgrade-k3s-long');

test(
  'three servers and a worker, one after the other, while their application answers',
  async () => {
    await prepareTestMachines(progress);
    const next = await progress.phase('the next k3s', (tell) => prepareK3sRelease(NEXT_K3S, tell));
    await using stand = await openStand('upgrade-k3s-long', { otherK3s: [next] });
    const { first, second, third } = await progress.phase('install', () => openServerRig(stand));
    await progress.phase('second', () => joinServer(stand, second, first, 2));
    await progress.phase('third', () => joinServer(stand, third, first, 3));
    const worker = await stand.lab.boot({ name: 'worker', base: 'kubernetes', images: true });
    await progress.phase('worker', () => joinByToken(stand, first, worker));
    // The shortest time between two nodes: what the one before has disturbed must be settled by then.
    await Promise.all([first, second, third, worker].map(lookOften));
    const stopLoad = await progress.phase('the application', () => startLoad(first, worker));
    const ran = await progress.phase('upgrade', () => upgradeK3s(second, '--to', NEXT_K3S));
    const took = expect.any(Number);
    expect(ran.nodes).toEqual([
      { node: 'second', role: 'server', from: K3S_VERSION, took_ms: took },
      { node: 'first', role: 'server', from: K3S_VERSION, took_ms: took },
      { node: 'third', role: 'server', from: K3S_VERSION, took_ms: took },
      { node: 'worker', role: 'worker', from: K3S_VERSION, took_ms: took },
    ]);
    for (const { node, took_ms } of ran.nodes) {
      process.stderr.write(`    ${node}: ${took_ms} ms\n`);
    }
    const names = ['first', 'second', 'third', 'worker'];
    expect(await versionsOf(first)).toEqual(names.map((name) => `${name} ${NEXT_K3S}`));
    expect((await voters(first)).toSorted()).toEqual(['first', 'second', 'third']);
    const { asked, failed } = await stopLoad();
    process.stderr.write(`    the application was asked ${asked} times\n`);
    expect(failed).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);
