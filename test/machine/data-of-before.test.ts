/** k3s' data directory, where something stood in it before the installation. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { AgentError } from '../../src/core/errors.ts';
import { placesOf } from '../../src/core/places.ts';
import { keepingDataOfBefore } from '../../src/host/k3s/data-of-before.ts';
import { failureOf } from '../support/failure-of.ts';
import {
  agentIsNotReady,
  INSTALL,
  INSTALL_ENV,
  JOIN,
  JOIN_TOKEN,
} from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const DATA = '/var/lib/rancher/k3s';

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = () => machine.run(INSTALL, { env: INSTALL_ENV });
const join = () => machine.run(JOIN, { env: INSTALL_ENV, stdin: JOIN_TOKEN });
const undo = () => machine.run(['install', '--undo', '--yes']);

const putData = async () => {
  await machine.put(`${DATA}/agent/images/mine.tar`, 'images');
  await machine.put(`${DATA}/server/db/snapshots/old`, 'a snapshot');
  await machine.put(`${DATA}/server/tls/of-before.key`, 'a key');
  await machine.files.makeDirectory(`${DATA}/server/static`, { mode: 0o700 });
};

test('what stood there is told', async () => {
  await putData();
  const { stderr } = await install();
  expect(stderr).toContain(`${DATA}/agent/images`);
  expect(stderr).toContain(`${DATA}/server/db/snapshots`);
  expect((await install()).stderr).not.toContain('images');
  const plan = await machine.run(['uninstall', '--dry-run']);
  expect(plan.stdout).toContain(`restore ${DATA}`);
});

test.each(['server', 'worker'])(
  'what stood there is there again after the removal of a %s',
  async (role) => {
    await putData();
    const before = await machine.tree();
    const ran = role === 'server' ? await install() : await join();
    expect(ran.exitCode).toBe(0);
    await machine.put(`${DATA}/agent/images/of-k3s.tar`, 'images of k3s');
    await machine.files.changeMode(`${DATA}/server`, 0o700);
    const callsBefore = machine.calls.length;
    expect(await machine.run(['uninstall', '--yes', '--delete-data'])).toMatchObject({
      exitCode: 0,
    });
    expect(await machine.tree()).toEqual(before);
    const unit = role === 'server' ? 'k3s.service' : 'k3s-agent.service';
    expect(machine.calls.slice(callsBefore).map(({ argv }) => argv.join(' '))).toContain(
      `systemctl stop ${unit}`,
    );
  },
);

test('what stood there is there again after an installation that is taken back', async () => {
  await putData();
  const before = await machine.tree();
  agentIsNotReady(machine);
  expect((await install()).exitCode).not.toBe(0);
  expect((await undo()).exitCode).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('what stood there stays with its directory where there is more of it than can be noted', async () => {
  const blobs = Array.from({ length: 1_500 }, (_, index) => `${DATA}/agent/blobs/${index}`);
  await machine.put(`${DATA}/server/mine`, 'mine');
  await machine.put(`${blobs[0]}`, 'a blob');
  await Promise.all(blobs.map((path) => machine.files.writeAtomic(path, '', { mode: 0o600 })));
  const before = await machine.tree();
  await install();
  await machine.put(`${DATA}/agent/blobs/of-k3s`, 'a blob');
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  const { [`${DATA}/agent/blobs/of-k3s`]: added, ...after } = await machine.tree();
  expect([added, after]).toEqual([expect.stringContaining('a blob'), before]);
});

test("what stood there is there with all of k3s where k3s' uninstaller fails, and later again", async () => {
  await putData();
  const before = await machine.tree();
  await install();
  const uninstaller = '/usr/local/bin/k3s-uninstall.sh';
  machine.programs.set(uninstaller, () => ({ exitCode: 1, stderr: 'it is busy' }));
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(7);
  expect(await machine.files.list(`${DATA}/server/tls`)).toEqual([
    'of-before.key',
    'server-ca.crt',
  ]);
  machine.programs.delete(uninstaller);
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('what stood there is not lost when the removal is killed, wherever that is', async () => {
  await putData();
  const before = await machine.tree();
  await install();
  let isOver = false;
  for (let change = 1; !isOver; change += 1) {
    machine.killAt(change);
    isOver = (await machine.run(['uninstall', '--yes'])).exitCode === 0;
    const tree = Object.keys(await machine.tree());
    expect(tree.filter((path) => path.endsWith('/db/snapshots/old'))).toHaveLength(1);
  }
  expect(await machine.tree()).toEqual(before);
});

test('what stood there is to be moved away where its directory has no other name', async () => {
  await putData();
  await install();
  const rename = () => {
    throw new AgentError('FILE_ACCESS', `Cannot replace ${DATA}: it is in use`, { hint: 'Look' });
  };
  const files = { ...machine.files, rename: async () => rename() };
  const deps = { exec: { run: () => Promise.reject(new Error()) }, files, places: placesOf() };
  await machine.files.remove('/etc/systemd/system/k3s.service');
  const failing = failureOf(() => keepingDataOfBefore(deps, 'server', async () => undefined));
  expect(await failing).toMatchObject({
    code: 'FILE_ACCESS',
    message: expect.stringContaining(`Cannot keep what was in ${DATA} before the installation`),
    hint: expect.stringContaining('Move what you want to keep to another place'),
  });
  for (const path of ['agent/images', 'server/db', 'server/tls', 'server/static']) {
    await machine.files.removeTree(`${DATA}/${path}`);
  }
  let removed = false;
  await keepingDataOfBefore(deps, 'server', async () => {
    removed = true;
  });
  expect(removed).toBeTrue();
});
