import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from './cache.ts';
import { groupsOfSlot } from './cgroups.ts';
import { runCommand } from './host-command.ts';
import { type Lab, openLab } from './lab.ts';
import { slotDirectory } from './leftovers.ts';
import type { Machine } from './machine.ts';
import { compareStates } from './machine-state.ts';
import { bridgeName } from './network.ts';
import { prepareTestMachines } from './prepare.ts';
import { reportProgress } from './progress.ts';
import { waitUntil } from './wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 120_000;
/** How long the kernel and the next lab may take to notice that a run was killed. */
const CLEANUP_TIMEOUT_MS = 30_000;

const progress = reportProgress('machine.test');
let lab: Lab;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'machine' });
  machine = await progress.phase('boot', () =>
    lab.boot({
      name: 'alpha',
      base: 'plain',
      hosts: { 'control-plane.test': lab.hostAddress },
      smallDisks: { '/opt/small': '1M' },
    }),
  );
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await lab?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

describe('exec()', () => {
  test('gives output, exit code, standard input and environment of the program', async () => {
    const script = 'cat; pwd; echo "$GREETING" >&2; exit 3';
    const result = await machine.exec(['sh', '-c', script], {
      stdin: 'from the test\n',
      env: { GREETING: 'hello' },
      check: false,
    });
    expect(result).toEqual({ exitCode: 3, stdout: 'from the test\n/\n', stderr: 'hello\n' });
  });

  test('throws with the output when the program fails', async () => {
    const run = machine.exec(['sh', '-c', 'echo reason >&2; exit 4']);
    await expect(run).rejects.toThrow(/in machine 'alpha' exited with 4\nreason/);
  });

  test('ends the program and its children when it takes too long', async () => {
    const run = machine.exec(['sh', '-c', 'sleep 4711 & wait'], { timeoutMs: 300 });
    await expect(run).rejects.toThrow('was ended after 300 ms');
    const { stdout } = await machine.exec(['ps', '-eo', 'args=']);
    expect(stdout).not.toContain('sleep 4711');
  });
});

test('writeFile() keeps bytes and mode, and readFile() gives the text back', async () => {
  await machine.writeFile('/etc/example/secret', 'one\ntwo', { mode: 0o640 });
  expect(await machine.readFile('/etc/example/secret')).toBe('one\ntwo');
  const { stdout } = await machine.exec(['stat', '-c', '%a %U', '/etc/example/secret']);
  expect(stdout).toBe('640 root\n');
  expect(await readFile(machine.pathOnHost('/etc/example/secret'), 'utf8')).toBe('one\ntwo');
});

test('a machine reaches the host by name, and no other network', async () => {
  await using server = Bun.serve({
    hostname: lab.hostAddress,
    port: 0,
    fetch: () => new Response('here'),
  });
  const url = `http://control-plane.test:${server.port}/`;
  expect((await machine.exec(['curl', '-fsS', url])).stdout).toBe('here');
  const outside = await machine.exec(['curl', '-sS', '-m', '2', 'http://192.0.2.1/'], {
    check: false,
  });
  expect([7, 28]).toContain(outside.exitCode); // curl: could not connect, or timed out
});

test('a small disk is full after its size', async () => {
  const fill = ['dd', 'if=/dev/zero', 'of=/opt/small/file', 'bs=64k', 'count=64'];
  const { exitCode, stderr } = await machine.exec(fill, { check: false });
  expect({ exitCode, full: stderr.includes('No space left on device') }).toEqual({
    exitCode: 1,
    full: true,
  });
});

test('two machines boot at once and reach each other', async () => {
  const started = await progress.phase('boot two', () =>
    Promise.all(['beta', 'gamma'].map((name) => lab.boot({ name, base: 'plain' }))),
  );
  for (const other of started) {
    // Nothing listens there, and only the other machine itself can say so.
    const connect = ['bash', '-c', `: < /dev/tcp/${other.address}/9`];
    const { stderr } = await machine.exec(connect, { check: false });
    expect(stderr).toContain('Connection refused');
  }
});

test('reboot(), powerOff() with start(), and kill() with start() keep files and network', async () => {
  await machine.writeFile('/etc/kept', 'kept');
  const before = await machine.snapshotState();
  await progress.phase('reboot', () => machine.reboot());
  await progress.phase('power off', () => machine.powerOff());
  await expect(machine.exec(['true'])).rejects.toThrow("'alpha': it is not running");
  expect(await machine.journal()).toContain('alpha');
  await machine.start();
  await progress.phase('kill', () => machine.kill());
  await machine.start();
  expect(compareStates(before, await machine.snapshotState())).toEqual([]);
});

test('compareStates() names files, contents, users, units, ports and links that came and went', async () => {
  const before = await machine.snapshotState();
  const unit = '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n';
  await machine.writeFile('/etc/systemd/system/example.service', unit);
  await machine.exec(['useradd', '--system', 'example']);
  await machine.exec(['ip', 'link', 'add', 'example0', 'type', 'bridge']);
  await machine.exec(['nft', 'add', 'table', 'ip', 'example']);
  const changes = compareStates(before, await machine.snapshotState(), [/^contents|passwd|group-/]);
  await machine.exec(['userdel', 'example']);
  await machine.exec(['ip', 'link', 'delete', 'example0']);
  await machine.exec(['nft', 'delete', 'table', 'ip', 'example']);
  await machine.exec(['rm', '/etc/systemd/system/example.service']);
  expect(changes).toEqual([
    'files: + f 644 root:root /etc/systemd/system/example.service',
    'units: + example.service disabled enabled',
    expect.stringMatching(/^users: \+ example:x:/),
    expect.stringMatching(/^groups: \+ example:x:/),
    'network: + example0 DOWN',
    'firewall: + table ip example',
  ]);
});

test('collectOnFailure() keeps the journals and says where', async () => {
  const directory = join(slotDirectory(Number(lab.hostAddress.split('.')[2])), 'collected');
  const run = lab.collectOnFailure(directory, async () => {
    throw new Error('the reason');
  });
  await expect(run).rejects.toThrow(directory);
  expect(await readFile(join(directory, 'alpha', 'journal.txt'), 'utf8')).toContain('alpha');
});

test(
  'openLab() removes what a killed run left: processes, cgroups, bridge and files',
  async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'killed-run.ts')], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const { value } = await child.stdout.getReader().read();
    const slot = Number(
      Buffer.from(value ?? [])
        .toString()
        .split('.')[2],
    );
    expect(await groupsOfSlot(slot)).toEqual([`pipeops-test-${slot}-orphan`]);
    child.kill('SIGKILL');
    await child.exited;

    await waitUntil('the leftovers are gone', CLEANUP_TIMEOUT_MS, async () => {
      await using _next = await openLab({ name: 'next' });
      return !(await exists(join(slotDirectory(slot), 'orphan')));
    });

    expect(await groupsOfSlot(slot)).toEqual([]);
    const { exitCode } = await runCommand(['ip', 'link', 'show', bridgeName(slot)], {
      check: false,
    });
    expect(exitCode).toBe(1);
  },
  TEST_TIMEOUT_MS,
);
