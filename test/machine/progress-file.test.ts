/** What a program sees of an installation that nobody sits at. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { ProgressLine } from '../../src/cli/terminal/progress-file.ts';
import { INSTALL, INSTALL_ENV } from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const FILE = '/run/progress.jsonl';

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...words: readonly string[]) =>
  machine.run([...INSTALL, '--progress-file', FILE, ...words], { env: INSTALL_ENV });
const lines = async (): Promise<readonly ProgressLine[]> =>
  ((await machine.files.readText(FILE)) ?? '')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('each step is a line, and the last one says that all is done', async () => {
  const ran = await install();
  const all = await lines();
  expect(all[0]).toMatchObject({ v: 1, step: 'install', state: 'begun', percent: 0, error: null });
  expect(all.at(-1)).toMatchObject({ step: 'install', state: 'done', percent: 100, error: null });
  const over = all
    .filter(({ state }) => state === 'done' || state === 'kept')
    .map(({ step }) => step);
  const steps = JSON.parse(ran.stdout).steps.map(({ id }: { id: string }) => id);
  expect(over).toEqual([...steps, 'install']);
  const percents = all.map(({ percent }) => percent);
  expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  expect(all.every(({ time }) => !Number.isNaN(Date.parse(time)))).toBe(true);
  expect(all.every(({ state, seconds }) => (seconds === null) === (state === 'begun'))).toBe(true);
  const { steps: summed, checks, seconds } = JSON.parse(ran.stdout);
  const spent = [...checks, ...summed].reduce((sum, each) => sum + each.seconds, 0);
  expect(spent).toBeLessThanOrEqual(seconds + 0.02); // Each is rounded.
  expect(all.at(-1)?.seconds).toBeGreaterThanOrEqual(seconds);
  expect(checks.map(({ title }: { title: string }) => title)).toEqual([
    'Look at this machine',
    'Look at the way there',
    'Ask the control plane',
  ]);
  const k3s = summed.find(({ id }: { id: string }) => id === 'k3s-install');
  expect(k3s).toMatchObject({ title: 'Install k3s', parts: [{ title: 'download' }] });
});

test('a run that fails ends with its code, and the next one begins the file anew', async () => {
  machine.programs.set('sh', () => ({ exitCode: 1, stderr: '[ERROR] something else' }));
  expect((await install()).exitCode).toBe(7);
  const failed = await lines();
  expect(failed.at(-2)).toMatchObject({ step: 'k3s-install', state: 'failed', error: null });
  expect(failed.at(-1)).toMatchObject({
    step: 'install',
    state: 'failed',
    error: { code: 'K3S_INSTALL_FAILED', exit_code: 7, hint: expect.any(String) },
  });
  machine.programs.delete('sh');
  expect((await install()).exitCode).toBe(0);
  expect((await lines()).filter(({ state }) => state === 'failed')).toEqual([]);
});

test('what is refused before the first step is told, too, without the secret', async () => {
  await machine.files.writeAtomic('/root/token', 'wrong-token\n', { mode: 0o600 });
  expect((await install()).exitCode).toBe(5);
  expect((await lines()).at(-1)?.error).toMatchObject({ code: 'TOKEN_REJECTED', exit_code: 5 });
  expect(await machine.files.readText(FILE)).not.toContain('wrong-token');
});

test('a file that cannot be written is said once, and stops nothing', async () => {
  await machine.files.makeDirectory(FILE, { mode: 0o755 });
  const ran = await install();
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr.split('--progress-file is not written').length).toBe(2);
});
