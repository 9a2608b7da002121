/** A snapshot comes back on a simulated machine, or the machine is as it was. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { identityRow, kineDatabase } from '../../support/kine-database.ts';
import { nextKill } from '../../support/sampled.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const K3S = '/var/lib/rancher/k3s';
const STATE_DB = `${K3S}/server/db/state.db`;
const TOKEN = `${K3S}/server/token`;
const SNAPSHOTS = '/var/lib/pipeops-agent-snapshots';
const ROW = identityRow('token');

let machine: SimulatedMachine;
let snapshotOf: Uint8Array;
let later: Uint8Array;
beforeEach(async () => {
  machine = await simulatedMachine();
  expect(await machine.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
  snapshotOf = await kineDatabase(ROW, '/registry/pods/before');
  later = await kineDatabase(ROW, '/registry/pods/before', '/registry/pods/after');
  await machine.put(STATE_DB, snapshotOf, 0o600);
  expect(await machine.run(['snapshot', 'create', '--name', 'one'])).toMatchObject({ exitCode: 0 });
  await machine.put(STATE_DB, later, 0o600);
  await machine.put(`${K3S}/agent/client-kubelet.crt`, 'of the node', 0o600);
  await machine.put(`${K3S}/server/manifests/mine.yaml`, 'kind: ConfigMap');
});
afterEach(() => machine[Symbol.asyncDispose]());

async function restore(...more: readonly string[]) {
  const ran = await machine.run(['snapshot', 'restore', 'one', '--yes', '--json', ...more]);
  const document = ran.stdout === '' ? {} : JSON.parse(ran.stdout);
  return { exitCode: ran.exitCode, stderr: ran.stderr, ...document };
}

const rowsAt = async (path: string, on = machine) =>
  Buffer.from((await on.files.readBytes(path)) ?? [])
    .toString('latin1')
    .match(/\/registry\/pods\/[a-z]+/g)
    ?.toSorted();
const calls = () => machine.calls.map(({ argv }) => argv.join(' '));
/** Of k3s and its configuration: what a restore may touch. */
const ofK3s = async () =>
  Object.fromEntries(
    Object.entries(await machine.tree()).filter(
      ([path]) => path.startsWith(K3S) || path.startsWith('/etc/rancher'),
    ),
  );

describe('restored', () => {
  test('the data and the token are in place, what was there is kept, and the agent has its account', async () => {
    const before = machine.calls.length;
    const { exitCode, kept_in, same_cluster, stderr } = await restore();
    expect([exitCode, same_cluster]).toEqual([0, true]);
    expect(await rowsAt(STATE_DB)).toEqual(['/registry/pods/before']);
    expect(await rowsAt(`${kept_in}/server/db/state.db`)).toEqual([
      '/registry/pods/after',
      '/registry/pods/before',
    ]);
    expect(await machine.files.readText(TOKEN)).toBe('K10server::token\n');
    expect((await machine.files.stat(TOKEN))?.mode).toBe(0o600);
    expect(await machine.files.readText(`${kept_in}/agent/client-kubelet.crt`)).toBe('of the node');
    expect(await machine.files.readText(`${K3S}/server/manifests/mine.yaml`)).toBe(
      'kind: ConfigMap',
    );
    expect(await machine.files.list('/etc/rancher/k3s/config.yaml.d')).toEqual(['50-pipeops.yaml']);
    expect(await machine.files.list(K3S)).not.toContain('pipeops-restore');
    const done = calls().slice(before);
    const changes = done.filter((line) =>
      /^systemctl (stop|start|restart)|delete secret|kubectl patch/.test(line),
    );
    expect(changes).toEqual([
      'systemctl stop k3s.service',
      'systemctl start --no-block k3s.service',
      expect.stringContaining('kubectl delete secret node-1.node-password.k3s'),
      // Nobody has the session that was shared then: its token may be an old one.
      expect.stringContaining(
        'patch secrets pipeops-agent-session --namespace=pipeops-system --type=merge --patch={"data":null}',
      ),
      expect.stringContaining('patch leases pipeops-agent --namespace=pipeops-system'),
      'systemctl restart pipeops-agent.service',
    ]);
    expect(done.join('\n')).not.toContain('K10server::token');
    expect(stderr).toContain(`What was here before is in ${kept_in}`);
  });

  test('on a machine of another cluster, with the key of the one that made it', async () => {
    const key = (await machine.run(['snapshot', 'key'])).stdout;
    const bytes = (await machine.files.readBytes(`${SNAPSHOTS}/one.snapshot`)) ?? new Uint8Array();
    await using other = await simulatedMachine();
    expect(await other.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
    await other.put(`${K3S}/server/tls/server-ca.crt`, 'of another cluster');
    await other.put('/root/one.snapshot', bytes);
    await other.put('/root/key', key, 0o600);
    const words = ['snapshot', 'restore', '/root/one.snapshot', '--yes', '--json'];
    const without = await other.run(words);
    expect(JSON.parse(without.stdout).error).toMatchObject({
      code: 'USAGE',
      message: 'This machine has no key of snapshots',
    });
    const ran = await other.run([...words, '--key-file', '/root/key']);
    expect(JSON.parse(ran.stdout)).toMatchObject({ same_cluster: false });
    expect(ran.stderr).toContain('of ANOTHER cluster');
    expect(await rowsAt(STATE_DB, other)).toEqual(['/registry/pods/before']);
    expect(await other.files.readText(TOKEN)).toBe('K10server::token\n');
  });

  test('after a kill at any moment, by running it once more; nothing that was there is lost', async () => {
    for (let change = 1; ; change = nextKill(change)) {
      await using again = await simulatedMachine();
      expect(await again.run(INSTALL, { env: INSTALL_ENV })).toMatchObject({ exitCode: 0 });
      await again.put(STATE_DB, snapshotOf, 0o600);
      await again.run(['snapshot', 'create', '--name', 'one']);
      await again.put(STATE_DB, later, 0o600);
      again.killAt(change);
      const killed = await again.run(['snapshot', 'restore', 'one', '--yes']);
      const ran = await again.run(['snapshot', 'restore', 'one', '--yes', '--json']);
      expect({ change, exitCode: ran.exitCode }).toEqual({ change, exitCode: 0 });
      const contents = Object.entries(await again.listing())
        .filter(([path]) => path.endsWith('/db/state.db'))
        .map(([path, text]) => [path, text.includes('/registry/pods/after')] as const);
      const [inPlace] = contents.filter(([path]) => path === STATE_DB);
      expect({ change, inPlace }).toEqual({ change, inPlace: [STATE_DB, false] });
      expect({ change, kept: contents.some(([, isLater]) => isLater) }).toEqual({
        change,
        kept: true,
      });
      expect(await again.files.list('/etc/rancher/k3s/config.yaml.d')).toEqual(['50-pipeops.yaml']);
      if (killed.exitCode === 0) {
        expect(change).toBeGreaterThan(10);
        return;
      }
    }
  }, 120_000);
});

type Refusal = readonly [string, () => Promise<unknown>, readonly string[], string];

describe('not restored', () => {
  test('where k3s does not start, everything is as it was', async () => {
    const before = await ofK3s();
    const done: string[] = [];
    machine.programs.set('systemctl', (argv) => {
      done.push(argv.join(' '));
      return argv[1] === 'show'
        ? { stdout: 'ActiveState=failed\nResult=exit-code\nNRestarts=0' }
        : {};
    });
    machine.programs.set('/usr/local/bin/k3s', (argv) =>
      argv[1] === '--version' ? { stdout: 'k3s version v1.36.3+k3s1 (test)' } : { exitCode: 1 },
    );
    expect(await restore()).toMatchObject({
      exitCode: 7,
      error: {
        code: 'K3S_NOT_READY',
        message: expect.stringMatching(/did not start with the other data.*back in place$/),
      },
    });
    expect(await ofK3s()).toEqual(before);
    expect(done.filter((line) => /^systemctl (stop|start)/.test(line))).toEqual([
      'systemctl stop k3s.service',
      'systemctl start --no-block k3s.service',
      'systemctl stop k3s.service',
      'systemctl start --no-block k3s.service',
    ]);
  });

  test.each([
    ['nobody confirms it', async () => undefined, [], 'USAGE'],
    [
      'there is no such snapshot',
      () => machine.files.remove(`${SNAPSHOTS}/one.snapshot`),
      ['--yes'],
      'NOT_FOUND',
    ],
    [
      'it was changed',
      async () => {
        const path = `${SNAPSHOTS}/one.snapshot`;
        const bytes = Buffer.from((await machine.files.readBytes(path)) ?? []);
        bytes[bytes.length - 50] = (bytes[bytes.length - 50] ?? 0) ^ 1;
        await machine.put(path, bytes);
      },
      ['--yes'],
      'SNAPSHOT_INVALID',
    ],
    [
      'the k3s here is older',
      () => machine.put('/usr/local/bin/k3s', 'v1.35.9+k3s1'),
      ['--yes'],
      'HOST_UNSUPPORTED',
    ],
  ] as const satisfies readonly Refusal[])('when %s, nothing is changed', async (...refusal) => {
    const [, prepare, words, code] = refusal;
    await prepare();
    const before = await machine.tree();
    const ran = await machine.run(['snapshot', 'restore', 'one', '--json', ...words], {
      confirm: false,
    });
    expect(JSON.parse(ran.stdout).error).toMatchObject({ code });
    expect(await machine.tree()).toEqual(before);
    expect(calls().filter((line) => line === 'systemctl stop k3s.service')).toEqual([]);
  });

  test('another one than was shown and confirmed is not restored in its place', async () => {
    expect(await machine.run(['snapshot', 'create', '--name', 'two'])).toMatchObject({
      exitCode: 0,
    });
    const two = (await machine.files.readBytes(`${SNAPSHOTS}/two.snapshot`)) ?? new Uint8Array();
    machine.programs.set('/usr/local/bin/k3s', async (argv) => {
      await machine.put(`${SNAPSHOTS}/one.snapshot`, two); // It was looked at before.
      return argv[1] === '--version'
        ? { stdout: 'k3s version v1.36.3+k3s1 (test)' }
        : { exitCode: 1 };
    });
    machine.programs.set('systemctl', (argv) =>
      argv[1] === 'show' ? { stdout: 'ActiveState=failed\nResult=exit-code\nNRestarts=0' } : {},
    );
    expect(await restore()).toMatchObject({
      error: { code: 'SNAPSHOT_INVALID', message: expect.stringContaining('was exchanged') },
    });
    expect(calls().filter((line) => line === 'systemctl stop k3s.service')).toEqual([]);
  });

  test('--dry-run tells the steps and changes nothing', async () => {
    const before = await machine.tree();
    const ran = await machine.run(['snapshot', 'restore', 'one', '--dry-run', '--json']);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      node: 'node-1',
      snapshot: { name: 'one', datastore: 'sqlite' },
      steps: ['Stop k3s.service; pods run on meanwhile', ...Array(4).fill(expect.any(String))],
    });
    expect(await machine.tree()).toEqual(before);
  });
});
