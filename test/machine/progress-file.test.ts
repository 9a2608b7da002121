/** What a program sees of an installation that nobody sits at. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { ProgressLine } from '../../src/cli/terminal/progress-file.ts';
import { INSTALL, INSTALL_ENV } from '../support/installation.ts';
import { leavingCluster } from '../support/leaving-cluster.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const FILE = '/run/progress.jsonl';

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...words: readonly string[]) =>
  machine.run([...INSTALL, '--progress-file', FILE, ...words], { env: INSTALL_ENV });
/** Each line in its form, percents that only grow, and the state of each step by its name. */
async function checkedLines(whole: string): Promise<readonly ProgressLine[]> {
  const all = await lines();
  expect(all[0]).toMatchObject({ v: 1, step: whole, state: 'begun', percent: 0, error: null });
  expect(all.at(-1)).toMatchObject({ step: whole, state: 'done', percent: 100, error: null });
  const percents = all.map(({ percent }) => percent);
  expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  const isTimed = ({ state, seconds }: ProgressLine) => (state === 'begun') === (seconds === null);
  expect(all.filter((line) => !isTimed(line))).toEqual([]);
  return all;
}
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

const overIn = (all: readonly ProgressLine[]) =>
  all.filter(({ state }) => state === 'done').map(({ step }) => step);

test('an uninstallation tells each removal, by what it removes', async () => {
  await install();
  const ran = await machine.run(['uninstall', '--yes', '--json', '--progress-file', FILE]);
  expect(ran.exitCode).toBe(0);
  const over = overIn(await checkedLines('uninstall'));
  expect(over).toContainValues(['agent-unit', 'agent-account', 'k3s-install', 'k3s-config']);
});

test('a leave tells how the cluster is left, and then each removal', async () => {
  await machine.run([...INSTALL, '--ha'], { env: INSTALL_ENV });
  await leavingCluster(machine);
  const words = ['leave', '--yes', '--json', '--progress-file', FILE];
  expect((await machine.run(words, { clock: scaledClock(100) })).exitCode).toBe(0);
  const all = await checkedLines('leave');
  const over = overIn(all);
  expect(over.slice(0, 4)).toEqual(['move-pods', 'hand-over', 'leave-etcd', 'take-out']);
  expect(over).toContain('k3s-install');
  expect(all.find(({ step, state }) => step === 'take-out' && state === 'done')?.percent).toBe(49);
});

test('an image that is prepared tells what is removed, and what is placed', async () => {
  await install();
  const words = ['prepare-image', '--yes', '--json', '--progress-file', FILE];
  expect((await machine.run(words, { env: INSTALL_ENV })).exitCode).toBe(0);
  const over = overIn(await checkedLines('prepare-image'));
  expect(over).toContainValues(['k3s-install', 'k3s-program']);
});

test('a bundle that is made tells when all is fetched, and when it is written', async () => {
  const words = ['bundle', 'create', '--output', '/root/bundle.tar', '--progress-file', FILE];
  expect((await machine.run(words, { env: INSTALL_ENV })).exitCode).toBe(0);
  expect(overIn(await checkedLines('bundle create'))).toEqual(['fetch', 'write', 'bundle create']);
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
