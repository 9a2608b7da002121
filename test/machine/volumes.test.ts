/** The data of applications at `uninstall`, and the way out of the machine afterwards. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const ENV = { PIPEOPS_API_URL: CONTROL_PLANE, PIPEOPS_K3S_MIRROR: MIRROR };
const STORAGE = '/var/lib/rancher/k3s/storage';
const VOLUME = `${STORAGE}/pvc-01234567-89ab-cdef-0123-456789abcdef_shop_orders`;
const EMPTY = `${STORAGE}/pvc-11111111-89ab-cdef-0123-456789abcdef_shop_cache`;
const TOLD = { path: VOLUME, claim: 'shop/orders', bytes: 3 * 1024 ** 3 };

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  machine.programs.set('du', () => ({ stdout: `${3 * 1024 ** 2}\t${VOLUME}` }));
  await machine.run(['install', '--token-file', '/root/token', '--json'], { env: ENV });
  await machine.files.makeDirectory(VOLUME, { mode: 0o777 });
  await machine.files.makeDirectory(EMPTY, { mode: 0o777 });
  await machine.files.writeAtomic(`${VOLUME}/db`, 'orders', { mode: 0o600 });
  await machine.files.writeAtomic('/var/lib/rancher/k3s/server/db', 'state', { mode: 0o600 });
});
afterEach(async () => await machine[Symbol.asyncDispose]());

test('data of volumes is told with its size and kept, and the rest of k3s goes', async () => {
  const planned = await machine.run(['uninstall', '--dry-run']);
  expect(planned.stdout).toContain(`Data of a volume: shop/orders, 3.0 GiB, in ${VOLUME}.`);
  const titles = JSON.parse((await machine.run(['uninstall', '--dry-run', '--json'])).stdout);
  const ran = await machine.run(['uninstall', '--yes', '--json']);
  const { removed, volumes } = JSON.parse(ran.stdout);
  expect(volumes).toEqual([TOLD]);
  expect(removed).toEqual(
    titles.plan
      .map(({ title }: { title: string }) => title)
      .filter((title: string) => !title.startsWith('Remove the inventory')),
  );
  expect(ran.stderr).toContain(`Data that is kept: shop/orders, 3.0 GiB, in ${VOLUME}.`);
  const left = Object.keys(await machine.tree()).filter((path) =>
    path.startsWith('/var/lib/rancher'),
  );
  expect(left.sort()).toEqual([
    '/var/lib/rancher',
    '/var/lib/rancher/k3s',
    STORAGE,
    VOLUME,
    `${VOLUME}/db`,
  ]);
});

test('--delete-data says what it deletes, before it asks', async () => {
  const asked = await machine.run(['uninstall', '--delete-data'], { confirm: false });
  expect(asked.stderr).toContain(`Data that is deleted: shop/orders, 3.0 GiB, in ${VOLUME}\n`);
  expect(await machine.files.readText(`${VOLUME}/db`)).toBe('orders');
  expect((await machine.run(['uninstall', '--delete-data', '--yes'])).exitCode).toBe(0);
  expect(await machine.files.stat('/var/lib/rancher')).toBeUndefined();
});

test("somebody's disk below k3s' data is emptied of k3s and stays mounted", async () => {
  const mounts = `/dev/sdb1 /var/lib/rancher/k3s/server ext4 rw 0 0\n`;
  await machine.files.writeAtomic('/proc/self/mounts', mounts, { mode: 0o444 });
  expect((await machine.run(['uninstall', '--delete-data', '--yes'])).exitCode).toBe(0);
  expect(await machine.files.list('/var/lib/rancher/k3s')).toEqual(['server']);
  expect(await machine.files.list('/var/lib/rancher/k3s/server')).toEqual([]);
  expect(machine.calls.some(({ argv }) => argv[0] === 'umount')).toBe(false);
});

test('the way out of the machine is told, and a loss of it', async () => {
  const route = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n';
  const byDefault = `${route}eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n`;
  await machine.files.writeAtomic('/proc/net/route', byDefault, { mode: 0o444 });
  let asked = 0;
  machine.programs.set('getent', () => {
    asked += 1;
    return { exitCode: asked === 1 ? 0 : 2 };
  });
  machine.programs.set('ip', () => ({}));
  const ran = await machine.run(['uninstall', '--yes']);
  const host = new URL(CONTROL_PLANE).hostname;
  expect(ran.stderr).toContain(`Names are not answered any more (${host}).`);
  expect(ran.stderr).not.toContain('The default route is gone');

  await machine.run(['install', '--token-file', '/root/token', '--json'], { env: ENV });
  const again = await machine.run(['uninstall', '--yes', '--json']);
  const seen = { default_route: 'eth0', asked: host, names: false };
  expect(JSON.parse(again.stdout).network).toEqual({ before: seen, after: seen });
});

test('a control plane at an address of IPv6 is asked for as resolvers know it', async () => {
  const of = (word: string) => machine.calls.filter(({ argv }) => argv[0] === word);
  const settings = '/etc/pipeops-agent/config.yaml';
  const told = (await machine.files.readText(settings)) ?? '';
  await machine.put(settings, told.replace(CONTROL_PLANE, 'https://[fd00::9]:8443'));
  await machine.run(['uninstall', '--yes']);
  expect(of('getent').map(({ argv }) => argv.at(-1))).toEqual(['fd00::9', 'fd00::9']);
});

test('data that an earlier removal has kept goes with --delete-data, and not before', async () => {
  await machine.run(['uninstall', '--yes']);
  await machine.run(['install', '--token-file', '/root/token', '--json'], { env: ENV });
  await machine.run(['uninstall', '--yes']);
  expect(await machine.files.readText(`${VOLUME}/db`)).toBe('orders');
  await machine.run(['install', '--token-file', '/root/token', '--json'], { env: ENV });
  expect((await machine.run(['uninstall', '--delete-data', '--yes'])).exitCode).toBe(0);
  expect(await machine.files.stat(VOLUME)).toBeUndefined();
});
