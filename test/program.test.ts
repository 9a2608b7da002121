/** The program in a process of its own, as it is ended from outside. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type TempDirectory, tempDirectory } from './support/temp-dir.ts';
import { until } from './support/until.ts';

const MAIN = join(import.meta.dir, '../src/main.ts');

let directory: TempDirectory;
let mirror: Bun.Server<undefined>;
/** Requests that the program waits for. */
let waiting: number;
let answer: PromiseWithResolvers<Response>;
beforeEach(async () => {
  directory = await tempDirectory();
  waiting = 0;
  answer = Promise.withResolvers();
  mirror = Bun.serve({
    port: 0,
    fetch: () => {
      waiting += 1;
      return answer.promise;
    },
  });
});
afterEach(async () => {
  answer.resolve(new Response());
  await mirror.stop(true);
  await directory[Symbol.asyncDispose]();
});

/** A subcommand that waits for a mirror until it is interrupted. */
const words = () => [
  ...[process.execPath, MAIN, 'bundle', 'create', '--k3s-version', 'v1.36.3+k3s1'],
  ...['--k3s-mirror', `http://127.0.0.1:${mirror.port}`, '--allow-insecure'],
];
const start = (before: readonly string[] = []) =>
  Bun.spawn([...before, ...words()], {
    cwd: directory.path,
    env: { PATH: '/usr/bin:/bin' },
    stdout: 'pipe',
    stderr: 'pipe',
  });
const untilItWaits = () => until('the program waits', () => waiting > 0);
const endOf = async (child: Bun.Subprocess) => {
  await child.exited;
  return { exitCode: child.exitCode, signal: child.signalCode };
};

test.each([
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s lets it end in order, and the exit code tells of it', async (signal, exitCode) => {
  const child = start();
  await untilItWaits();
  child.kill(signal);
  expect(await endOf(child)).toEqual({ exitCode, signal: null });
  expect(await child.stderr.text()).toContain('[INTERRUPTED]');
});

test('a terminal that goes away lets it end in order, though nothing can be told any more', async () => {
  const child = Bun.spawn(words(), {
    cwd: directory.path,
    env: { PATH: '/usr/bin:/bin' },
    terminal: {},
  });
  await untilItWaits();
  child.terminal?.close();
  expect(await endOf(child)).toEqual({ exitCode: 129, signal: null });
});

test('a lost terminal is no second request: systemd and shells send SIGHUP with SIGTERM', async () => {
  const child = start();
  await untilItWaits();
  child.kill('SIGHUP');
  child.kill('SIGTERM');
  child.kill('SIGHUP');
  expect([129, 143]).toContain(await child.exited); // Which one is heard first is the kernel's choice.
  expect(await child.stderr.text()).toContain('[INTERRUPTED]');
});

test('under nohup it runs on', async () => {
  const child = start(['nohup']);
  await untilItWaits();
  child.kill('SIGHUP');
  answer.resolve(new Response(null, { status: 404 }));
  expect(await endOf(child)).toEqual({ exitCode: 6, signal: null });
});
