/**
 * Machines beside the usual one of the tests: Debian 13 with GNU wget and without curl, and Debian 12 with
 * the shell of BusyBox as /bin/sh; both have only IPv6, as has all that they fetch from. Each is installed by one
 * line and uninstalled, the second one also joins.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../vm/machine.ts';
import type { MachineState } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { expectAsBefore } from './as-before.ts';
import {
  type Fetcher,
  installByOneLine,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN_FILE,
} from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 90_000;
const ROOT = join(import.meta.dir, '../..');
/** Of Debian's busybox-static, on this host; no library is needed. */
const BUSYBOX = '/bin/busybox';

const progress = reportProgress('other machines');
let stand: Stand;
let debian13: Machine;
let busybox: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('other-machines', { ip: '6' });
  [debian13, busybox] = await Promise.all([
    stand.lab.boot({ name: 'trixie', base: 'debian-13', images: true, ip: '6' }),
    stand.lab.boot({ name: 'ash', base: 'kubernetes', images: true, ip: '6' }),
  ]);
  await busybox.copyIn(BUSYBOX, '/usr/bin/busybox', { mode: 0o755 });
  await busybox.exec(['ln', '-sf', 'busybox', '/usr/bin/sh']);
  await Promise.all([debian13, busybox].map((machine) => stand.equip(machine)));
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

test(
  'Debian 13 with GNU wget alone, and a machine with the shell of BusyBox, both of IPv6, are installed and go back',
  async () => {
    await areWhatTheyShallBe();
    const before = [await debian13.snapshotState(), await busybox.snapshotState()] as const;
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-other-machines'), async () => {
      await progress.phase('install both', () =>
        Promise.all([installed(debian13, 'wget -qO-'), installed(busybox, 'curl -fsSL')]),
      );
      await progress.phase('uninstall one', () =>
        goesBack(busybox, before[1], ['uninstall', '--delete-data']),
      );
      await progress.phase('join the other', () => joinByToken(stand, debian13, busybox));
      await waitUntil('both nodes are ready', SETTLE_TIMEOUT_MS, async () => {
        return (await readyNodes(debian13)) === 2;
      });
      await progress.phase('leave', () => goesBack(busybox, before[1], ['leave']));
      await progress.phase('uninstall the server', () =>
        goesBack(debian13, before[0], ['uninstall', '--delete-data']),
      );
    });
  },
  TEST_TIMEOUT_MS,
);

async function areWhatTheyShallBe(): Promise<void> {
  expect(await debian13.readFile('/etc/os-release')).toContain('VERSION_ID="13"');
  expect(await debian13.exec(['sh', '-c', 'command -v curl'], { check: false })).toMatchObject({
    stdout: '',
  });
  expect((await debian13.exec(['wget', '--version'])).stdout).toStartWith('GNU Wget');
  const shell = await busybox.exec(['sh', '--help'], { check: false });
  expect(shell.stdout + shell.stderr).toMatch(/^BusyBox v/);
  for (const machine of [debian13, busybox]) {
    expect(machine.address).toContain(':');
    expect((await machine.exec(['ip', '-4', '-brief', 'address', 'show', 'host0'])).stdout).toBe(
      '',
    );
  }
  // What is typed on a machine without curl stands in the documentation.
  const line = 'wget -qO- https://get.pipeops.dev/agent/install.sh | sudo sh -s -- --token-file';
  expect(await Bun.file(join(ROOT, 'docs/INSTALL.md')).text()).toContain(line);
}

/** By one line: its node is Ready, and the control plane knows it. */
async function installed(machine: Machine, fetcher: Fetcher): Promise<void> {
  const args = ['--token-file', TOKEN_FILE, '--cluster-name', machine.name, '--json'];
  const { stdout } = await installByOneLine(stand, machine, args, { fetcher });
  const { steps, seconds } = JSON.parse(stdout);
  const wait = steps.find(({ id }: { id: string }) => id === 'node-ready');
  expect(wait.parts.map(({ title }: { title: string }) => title)).toEqual([
    'start of k3s',
    'node Ready',
  ]);
  process.stderr.write(`    ${machine.name}: ${seconds} s\n`);
  expect(await readyNodes(machine)).toBe(1);
  const status = JSON.parse((await machine.exec(['pipeops-agent', 'status', '--json'])).stdout);
  expect(status.ready).toBe(true);
  const known = (await stand.agents()).filter(({ id }) => id === status.agent.id);
  expect(known).toMatchObject([
    { session: 'connected', cluster_name: machine.name, protocol_errors: [] },
  ]);
}

async function goesBack(
  machine: Machine,
  before: MachineState,
  words: readonly string[],
): Promise<void> {
  await machine.exec(['pipeops-agent', ...words, '--yes'], { timeoutMs: TEST_TIMEOUT_MS });
  await expectAsBefore(machine, before);
}
