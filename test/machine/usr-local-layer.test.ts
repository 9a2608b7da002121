/** A machine whose /usr is an image; real mounts: test/e2e/read-only-usr.test.ts. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const UNIT_FILE = '/etc/systemd/system/usr-local.mount';
const LAYER = '/var/lib/pipeops-usr-local';
const INSTALL = ['install', '--token-file', '/root/token', '--api-url', CONTROL_PLANE];

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  await machine.put('/usr/local/bin/.keep', '');
  await readOnly('/usr');
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** The mount is read-only, and others stand in the table beside it. */
async function readOnly(path: string, ...others: readonly string[]): Promise<void> {
  const table = (await machine.files.readText('/proc/self/mounts')) ?? '';
  const lines = [`/dev/image ${path} ext4 ro 0 0`, ...others, ''].join('\n');
  await machine.put('/proc/self/mounts', `${table.trimEnd()}\n${lines}`);
}

/** As the kernel tells it once the unit has mounted it. */
async function layered(): Promise<void> {
  const table = (await machine.files.readText('/proc/self/mounts')) ?? '';
  await machine.put('/proc/self/mounts', `${table.trimEnd()}\noverlay /usr/local overlay rw 0 0\n`);
}

const install = (...flags: readonly string[]) =>
  machine.run([...INSTALL, ...flags], { env: { PIPEOPS_K3S_MIRROR: MIRROR } });

async function doctor() {
  const { exitCode, stdout } = await machine.run(['doctor', '--json']);
  const { checks } = JSON.parse(stdout);
  const { finding } = checks.find(({ id }: { id: string }) => id === 'read-only-places');
  return { exitCode, message: finding?.message };
}

test('something writable is laid over a read-only /usr/local, and uninstall takes it off', async () => {
  const before = await machine.listing();
  expect(await doctor()).toEqual({ exitCode: 0, message: '/usr/local is read-only here' });
  const planned = await install('--dry-run');
  expect(planned.stdout).toContain(`create ${UNIT_FILE}`);
  const installed = await install();
  expect(installed).toMatchObject({ exitCode: 0 });
  expect(installed.stderr).toContain(
    `The installation lays something writable over it, kept in ${LAYER}; uninstall takes it off`,
  );
  expect(await machine.files.readText(UNIT_FILE)).toContain(
    `\nOptions=lowerdir=/usr/local,upperdir=${LAYER}/upper,workdir=${LAYER}/work\n`,
  );
  expect([machine.units.get('usr-local.mount'), machine.enabled.has('usr-local.mount')]).toEqual([
    'active',
    true,
  ]);
  const first = machine.calls.find(({ argv }) => argv.includes('usr-local.mount'));
  expect(first?.argv).toEqual(['systemctl', 'enable', 'usr-local.mount']);
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(machine.units.has('usr-local.mount')).toBe(false);
  expect(await machine.listing()).toEqual(before);
});

test('what others have put into the layer since keeps it', async () => {
  await install();
  await machine.put(`${LAYER}/upper/bin/theirs`, 'a program');
  expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(machine.units.get('usr-local.mount')).toBe('active');
  expect(await machine.files.readText(`${LAYER}/upper/bin/theirs`)).toBe('a program');
});

test.each([
  ['is a mount with mounts below it', '/dev/b /usr/local/share ext4 rw 0 0'],
  ['has nothing writable beside it', '/dev/b /var ext4 ro 0 0'],
])('a /usr/local that %s is refused before anything is changed', async (_, mount) => {
  await readOnly('/usr', mount);
  const before = await machine.listing();
  const refused = await install();
  expect(refused.exitCode).toBe(4);
  expect(refused.stderr).toContain('These places are read-only: /usr/local/bin (mount /usr)');
  expect(await machine.listing()).toEqual(before);
});

test('an image is prepared with it, and a machine made of that is installed and goes without a trace', async () => {
  const before = await machine.listing();
  const prepare = () => machine.run(['prepare-image', '--k3s-mirror', MIRROR, '--json']);
  for (const wanted of [true, false]) {
    const { exitCode, stdout } = await prepare();
    const { removed, steps } = JSON.parse(stdout);
    const made = steps.filter(({ id }: { id: string }) => id === 'usr-local-layer');
    expect([exitCode, removed, made.length]).toEqual([0, [], wanted ? 1 : 0]);
    await layered();
  }
  expect(await install()).toMatchObject({ exitCode: 0 });
  await machine.run(['uninstall', '--yes', '--delete-data']);
  expect(machine.units.has('usr-local.mount')).toBe(false);
  expect(Object.keys(await machine.listing()).filter((path) => !(path in before))).toEqual([]);
});

test('a machine that can write there gets no layer', async () => {
  await using usual = await simulatedMachine();
  const env = { PIPEOPS_K3S_MIRROR: MIRROR };
  expect(await usual.run(INSTALL, { env })).toMatchObject({ exitCode: 0 });
  expect(await usual.files.stat(UNIT_FILE)).toBeUndefined();
});
