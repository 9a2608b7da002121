/** Three servers go back to a snapshot: one is restored, the others take its data. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joinServer } from '../e2e/join-server.ts';
import { installByOneLine, openStand, readyNodes, type Stand, TOKEN_FILE } from '../e2e/stand.ts';
import { voters } from '../vm/etcd-voters.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 1_200_000;
const RUN_TIMEOUT_MS = 300_000;

const progress = reportProgress('snapshots-servers');
let stand: Stand;
let first: Machine;
let second: Machine;
let third: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('snapshots-servers');
  const boot = (name: string) => stand.lab.boot({ name, base: 'kubernetes', images: true });
  [first, second, third] = await Promise.all([boot('first'), boot('second'), boot('third')]);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

const agent = (machine: Machine, ...words: readonly string[]) =>
  machine.exec(['pipeops-agent', ...words], { timeoutMs: RUN_TIMEOUT_MS });
const write = (value: string) =>
  first.exec([
    'sh',
    '-c',
    `k3s kubectl create configmap mark --from-literal=value=${value} --dry-run=client -o yaml | ` +
      'k3s kubectl apply -f -',
  ]);
const read = async (machine: Machine) =>
  (
    await machine.exec(
      ['k3s', 'kubectl', 'get', 'configmap', 'mark', '-o', 'jsonpath={.data.value}'],
      { check: false },
    )
  ).stdout;

test(
  'three servers go back to a snapshot',
  async () => {
    await stand.equip(first);
    await stand.lab.collectOnFailure(
      join(tmpdir(), 'pipeops-agent-snapshots-servers'),
      async () => {
        await progress.phase('install', () =>
          installByOneLine(stand, first, ['--token-file', TOKEN_FILE, '--ha', '--json']),
        );
        await progress.phase('the second server', () => joinServer(stand, first, second, 2));
        await progress.phase('the third server', () => joinServer(stand, first, third, 3));
        await write('before');
        await agent(first, 'snapshot', 'create', '--name', 'one');
        await write('after');
        await progress.phase('refused while the others run', refuse);
        await progress.phase('restore', restore);
      },
    );
  },
  TEST_TIMEOUT_MS,
);

async function refuse(): Promise<void> {
  const argv = ['pipeops-agent', 'snapshot', 'restore', 'one', '--yes', '--json'] as const;
  const { stdout } = await first.exec(argv, { check: false, timeoutMs: RUN_TIMEOUT_MS });
  expect(JSON.parse(stdout).error).toMatchObject({
    code: 'BUSY',
    message: 'Other servers of this cluster run: second, third',
  });
  expect(await read(first)).toBe('after');
}

async function restore(): Promise<void> {
  for (const machine of [first, second, third]) {
    await machine.exec(['systemctl', 'stop', 'k3s'], { timeoutMs: RUN_TIMEOUT_MS });
  }
  await agent(first, 'snapshot', 'restore', 'one', '--yes');
  expect(await read(first)).toBe('before');
  expect(await voters(first)).toEqual(['first']);
  for (const machine of [second, third]) {
    await agent(machine, 'snapshot', 'rejoin', '--yes');
    expect(await read(machine)).toBe('before');
  }
  const members = await waitUntil('etcd has three members', RUN_TIMEOUT_MS, async () => {
    const names = await voters(first);
    return names.length === 3 ? names.toSorted() : undefined;
  });
  expect(members).toEqual(['first', 'second', 'third']);
  await waitUntil('the servers are ready', RUN_TIMEOUT_MS, async () => {
    return (await readyNodes(first)) === 3;
  });
  // Whatever was written after the snapshot is gone on all of them, and one may be lost again.
  await third.kill();
  expect(await read(second)).toBe('before');
}
