/** A machine from which an image is made: each machine of it has an identity of its own. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { errorOf, INSTALL, INSTALL_ENV, JOIN, JOIN_TOKEN } from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const ENV = INSTALL_ENV;
const PREPARE = ['prepare-image', '--json'];

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const paths = async () => Object.keys(await machine.listing()).sort();

test('the executable and k3s are placed, and nothing that belongs to one machine', async () => {
  const before = await paths();
  const ran = await machine.run(PREPARE, { env: ENV });
  expect(JSON.parse(ran.stdout)).toMatchObject({
    k3s: expect.stringMatching(/^v1\./),
    removed: [],
  });
  const added = (await paths()).filter((path) => !before.includes(path));
  expect(added.filter((path) => !path.startsWith('/var/lib/pipeops-agent-host/'))).toEqual([
    expect.stringMatching(/^\/opt\/pipeops-agent\/[^/]+\/pipeops-agent$/),
    '/usr/local/bin/k3s',
  ]);
  expect(await machine.files.readLink('/usr/local/bin/pipeops-agent')).toBe(added[0] ?? '');
  expect(machine.units.size).toBe(0);
});

test.each([
  ['install', INSTALL, {}],
  ['join', JOIN, { stdin: JOIN_TOKEN }],
] as const)('%s on a machine of the image goes on from there', async (_, words, given) => {
  const before = await machine.tree();
  await machine.run(PREPARE, { env: ENV });
  machine.web.delete('https://k3s.test/channels/stable'); // The version is that of the image.
  const ran = await machine.run(words, { env: ENV, ...given });
  expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: 0 });
  expect((await machine.run(['uninstall', '--yes', '--delete-data'])).exitCode).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('what was set up is removed after a question, and before the image', async () => {
  await machine.run(INSTALL, { env: ENV });
  await machine.put('/etc/rancher/node/password', 'secret\n');
  await machine.put('/var/lib/rancher/k3s/server/token', 'secret\n');
  const before = await machine.listing();
  const no = await machine.run(PREPARE, { env: ENV, confirm: false });
  expect(errorOf(no)).toMatchObject({ exitCode: 2, code: 'USAGE' });
  expect(await machine.listing()).toEqual(before);
  const ran = await machine.run([...PREPARE, '--yes'], { env: ENV });
  expect(JSON.parse(ran.stdout).removed).toContain('Remove k3s (server) and what runs in it');
  const left = await paths();
  for (const gone of [
    '/etc/rancher',
    '/var/lib/rancher',
    '/var/lib/pipeops-agent/',
    '/etc/pipeops-agent',
  ]) {
    expect(left.filter((path) => path.startsWith(gone))).toEqual([]);
  }
  expect(left).toContain('/usr/local/bin/k3s');
});

test('a dry run changes nothing, and a second run does nothing', async () => {
  const before = await machine.tree();
  const plan = await machine.run([...PREPARE, '--dry-run'], { env: ENV });
  expect(JSON.parse(plan.stdout).steps).toMatchObject([
    { id: 'place-executable', needed: true, commands: expect.any(Array) },
    { id: 'k3s-program', title: 'Place k3s', needed: true, commands: [] },
  ]);
  const told = await machine.run(['prepare-image', '--dry-run'], { env: ENV });
  expect(told.stdout).toMatch(/^Place .+\nPlace k3s\n\nCommands, in order:\n {2}install /);
  expect(await machine.tree()).toEqual(before);
  await machine.run(PREPARE, { env: ENV });
  const again = await machine.run(PREPARE, { env: ENV });
  expect(
    JSON.parse(again.stdout).steps.map(({ changed }: { changed: boolean }) => changed),
  ).toEqual([...[false, false]]);
});

test('uninstall takes a prepared machine back', async () => {
  const before = await machine.tree();
  await machine.run(PREPARE, { env: ENV });
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('a k3s of somebody else is left alone', async () => {
  await machine.put('/usr/local/bin/k3s', 'v1.34.4+k3s1');
  await machine.put('/etc/systemd/system/k3s.service', '');
  const before = await machine.tree();
  const ran = await machine.run([...PREPARE, '--yes'], { env: ENV });
  expect(errorOf(ran)).toMatchObject({ exitCode: 4, code: 'CLUSTER_EXISTS' });
  expect(await machine.tree()).toEqual(before);
});
