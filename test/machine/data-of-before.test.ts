/** k3s' data directory, where something stood in it before the installation. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { agentIsNotReady, setUp } from '../support/installation.ts';
import { nextKill } from '../support/sampled.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const DATA = '/var/lib/rancher/k3s';

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = () => setUp(machine, 'install');
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
    const ran = role === 'server' ? await install() : await setUp(machine, 'join');
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

test('what stood there is there where the removal of k3s fails, and later again', async () => {
  await putData();
  await machine.files.makeDirectory('/sys/class', { mode: 0o755 });
  const before = await machine.tree();
  await install();
  await machine.files.makeDirectory('/sys/class/net/cni0', { mode: 0o755 });
  machine.programs.set('ip', () => ({ exitCode: 1, stderr: 'it is busy' }));
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(7);
  expect(await machine.files.list(`${DATA}/server/tls`)).toEqual([
    'of-before.key',
    'server-ca.crt',
  ]);
  await machine.files.removeTree('/sys/class/net');
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  expect(await machine.tree()).toEqual(before);
});

test('what stood there is not lost when the removal is killed, wherever that is', async () => {
  await putData();
  const before = await machine.tree();
  await install();
  let isOver = false;
  for (let change = 1; !isOver; change = nextKill(change)) {
    machine.killAt(change);
    isOver = (await machine.run(['uninstall', '--yes'])).exitCode === 0;
    const tree = Object.keys(await machine.tree());
    expect(tree.filter((path) => path.endsWith('/db/snapshots/old'))).toHaveLength(1);
  }
  expect(await machine.tree()).toEqual(before);
});
