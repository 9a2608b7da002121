import { expect, test } from 'bun:test';
import { packageHolder, waitForPackages } from '../../../src/host/engine/package-lock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { tempDirectory } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';

const LOCK = '/var/lib/dnf/rpmdb_lock.pid';
const signal = new AbortController().signal;

async function locked() {
  const directory = await tempDirectory();
  const files = systemFiles(directory.path);
  for (const path of ['/var/lib/dnf', '/proc/812']) {
    await files.makeDirectory(path, { mode: 0o755 });
  }
  await files.writeAtomic(LOCK, '812\n', { mode: 0o644 });
  await files.writeAtomic('/proc/812/comm', 'dnf-automatic\n', { mode: 0o444 });
  return { files, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

test('a lock is waited for, and its holder is named meanwhile', async () => {
  await using machine = await locked();
  const clock = manualClock();
  const told: string[] = [];
  const waiting = waitForPackages(
    { clock, files: machine.files },
    (text) => told.push(text),
    signal,
  );
  await until('the holder is named', () => told.length > 0);
  expect(told[0]).toBe(
    "waiting for dnf-automatic (pid 812), which has the system's packages locked",
  );
  await machine.files.remove(LOCK);
  let isOver = false;
  void waiting.then(() => {
    isOver = true;
  });
  await until('the wait is over', () => {
    clock.advance(1_000);
    return isOver;
  });
});

test('a lock that is never let go is an error with the name of its holder', async () => {
  await using machine = await locked();
  const clock = manualClock();
  const told: string[] = [];
  const failure = failureOf(() =>
    waitForPackages({ clock, files: machine.files }, (text) => told.push(text), signal),
  );
  await until('the holder is named', () => told.length > 0);
  clock.advance(11 * 60_000);
  expect(await failure).toMatchObject({
    code: 'BUSY',
    message: "dnf-automatic (pid 812) has the system's packages locked for too long",
  });
});

test('a lock of a process that is gone counts for nothing', async () => {
  await using machine = await locked();
  await machine.files.removeTree('/proc/812');
  await waitForPackages({ clock: manualClock(), files: machine.files }, () => undefined, signal);
  expect(await machine.files.stat(LOCK)).toBeDefined();
});

test('a lock that only the kernel knows counts as well, with or without a name', async () => {
  await using machine = await locked();
  await machine.files.remove(LOCK);
  const path = '/var/lib/rpm/.rpm.lock';
  await machine.files.makeDirectory('/var/lib/rpm', { mode: 0o755 });
  await machine.files.writeAtomic(path, '', { mode: 0o644 });
  expect(await packageHolder(machine.files)).toBeUndefined();
  const inode = (await machine.files.stat(path))?.inode;
  const lockedBy = (pid: number) =>
    machine.files.writeAtomic(
      '/proc/locks',
      `1: POSIX  ADVISORY  WRITE ${pid} 08:01:${inode} 0 EOF\n`,
      { mode: 0o444 },
    );
  await lockedBy(812);
  expect(await packageHolder(machine.files)).toEqual({ program: 'dnf-automatic', pid: 812 });
  const clock = manualClock();
  const told: string[] = [];
  const waiting = failureOf(() =>
    waitForPackages({ clock, files: machine.files }, (text) => told.push(text), signal),
  );
  await until('the holder is named', () => told.length > 0);
  await lockedBy(813);
  clock.advance(11 * 60_000);
  expect(await waiting).toMatchObject({
    message: "a process (pid 813) has the system's packages locked for too long",
  });
});
