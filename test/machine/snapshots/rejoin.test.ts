/** A further server takes the data of the one that was restored; and no restore beside servers that run. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { identityRow, kineDatabase } from '../../support/kine-database.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const ETCD = '/var/lib/rancher/k3s/server/db/etcd';
const DATA = `${ETCD}/member/snap/db`;

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  expect(await machine.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
});
afterEach(() => machine[Symbol.asyncDispose]());

async function rejoin(...more: readonly string[]) {
  const ran = await machine.run(['snapshot', 'rejoin', '--yes', '--json', ...more]);
  return { exitCode: ran.exitCode, ...JSON.parse(ran.stdout) };
}

const joined = async () => {
  await machine.put(DATA, 'of the cluster before');
  await machine.put(
    '/etc/rancher/k3s/config.yaml.d/60-join.yaml',
    'server: https://10.0.0.2:6443\n',
  );
};

test('etcd’s data go aside, keys and tokens stay, and k3s joins with an empty hand', async () => {
  await joined();
  const before = machine.calls.length;
  const { exitCode, kept_in, server } = await rejoin();
  expect([exitCode, server]).toEqual([0, 'https://10.0.0.2:6443']);
  expect(await machine.files.stat(ETCD)).toBeUndefined();
  expect(await machine.files.readText(`${kept_in}/server/db/etcd/member/snap/db`)).toBe(
    'of the cluster before',
  );
  expect(await machine.files.readText('/var/lib/rancher/k3s/server/token')).toBe(
    'K10server::token\n',
  );
  const changes = machine.calls
    .slice(before)
    .map(({ argv }) => argv.join(' '))
    .filter((line) => /^systemctl (stop|disable|enable|start)/.test(line));
  expect(changes).toEqual([
    'systemctl stop k3s.service',
    'systemctl disable --quiet k3s.service',
    'systemctl enable --quiet k3s.service',
    'systemctl start --no-block k3s.service',
  ]);
});

test('where k3s does not start, the data are back', async () => {
  await joined();
  machine.programs.set('systemctl', (argv) =>
    argv[1] === 'show' ? { stdout: 'ActiveState=failed\nResult=exit-code\nNRestarts=0' } : {},
  );
  machine.programs.set('/usr/local/bin/k3s', () => ({ exitCode: 1 }));
  expect(await rejoin()).toMatchObject({ error: { code: 'K3S_NOT_READY' } });
  expect(await machine.files.readText(DATA)).toBe('of the cluster before');
});

test('after a kill at any moment, by running it once more; nothing that was there is lost', async () => {
  await joined();
  for (let change = 1; ; change += 1) {
    machine.killAt(change);
    const killed = await machine.run(['snapshot', 'rejoin', '--yes']);
    expect({ change, ...(await rejoin()) }).toMatchObject({ change, exitCode: 0 });
    const kept = Object.entries(await machine.listing()).filter(
      ([path, text]) => path.endsWith('/etcd/member/snap/db') && text === 'of the cluster before',
    );
    expect({ change, kept: kept.length }).toEqual({ change, kept: change });
    if (killed.exitCode === 0) {
      expect(change).toBeGreaterThan(3);
      return;
    }
    await machine.put(DATA, 'of the cluster before');
  }
}, 60_000);

test('a server that has joined no other one, and one alone, are told apart', async () => {
  expect(await rejoin()).toMatchObject({ error: { code: 'NOT_A_SERVER' } });
  await machine.put(DATA, 'of the cluster');
  expect(await rejoin()).toMatchObject({ error: { code: 'HOST_UNSUPPORTED' } });
  expect(await machine.files.readText(DATA)).toBe('of the cluster');
});

test('nothing is restored beside other servers that run', async () => {
  await machine.put(
    '/var/lib/rancher/k3s/server/db/state.db',
    await kineDatabase(identityRow('token')),
  );
  expect(await machine.run(['snapshot', 'create', '--name', 'one'])).toMatchObject({ exitCode: 0 });
  const node = (name: string) => ({
    metadata: { name, labels: { 'node-role.kubernetes.io/control-plane': 'true' } },
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' },
    },
  });
  machine.programs.set('/usr/local/bin/k3s', (argv) =>
    argv[1] === '--version'
      ? { stdout: 'k3s version v1.36.3+k3s1 (test)' }
      : { stdout: JSON.stringify({ items: ['node-1', 'web-2', 'web-3'].map(node) }) },
  );
  const before = await machine.tree();
  const ran = await machine.run(['snapshot', 'restore', 'one', '--yes', '--json']);
  expect(JSON.parse(ran.stdout).error).toMatchObject({
    code: 'BUSY',
    message: 'Other servers of this cluster run: web-2, web-3',
  });
  expect(await machine.tree()).toEqual(before);
});
