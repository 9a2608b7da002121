/** Files that a newer version has left on a machine: used, kept, and never taken for damaged. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../src/core/places.ts';
import { joinedServer } from '../../src/host/cluster/joined-server.ts';
import { openInventory } from '../../src/host/engine/inventory.ts';
import { errorOf, INSTALL_ENV, STANDALONE } from '../support/installation.ts';
import {
  CLUSTER_CA,
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const HOST_STATE = '/var/lib/pipeops-agent-host';
const INVENTORY = `${HOST_STATE}/inventory.json`;
const STEPS = `${HOST_STATE}/steps.json`;
const K3S_CONFIG = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
const MOUNT = { kind: 'mount', name: '/srv/pipeops', options: ['noexec'] };

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...flags: readonly string[]) =>
  machine.run([...STANDALONE, ...flags], { env: INSTALL_ENV });

/** Changes a file as a newer version would have written it. */
async function change(path: string, more: (old: Record<string, unknown>) => unknown) {
  const text = JSON.stringify(more(await machine.json(path)));
  await machine.files.writeAtomic(path, text, { mode: 0o600 });
}

test('an inventory with more in it is used, and written again with all that was in it', async () => {
  await install();
  const before = await machine.json(INVENTORY);
  const newer = (old: Record<string, unknown>) => ({
    ...old,
    made_by: '9.0.0',
    entries: [
      ...(old['entries'] as object[]).map((entry) => ({ ...entry, digest: 'sha256:1' })),
      MOUNT,
    ],
  });
  await change(INVENTORY, newer);
  await machine.files.remove('/etc/systemd/system/pipeops-agent.service');
  await change(INVENTORY, (old) => ({
    ...old,
    entries: (old['entries'] as { kind: string }[]).filter(({ kind }) => kind !== 'unit'),
  }));

  expect((await install()).exitCode).toBe(0);
  const unit = { kind: 'unit', name: '/etc/systemd/system/pipeops-agent.service' };
  const expected = newer(before);
  expect(await machine.json(INVENTORY)).toEqual({
    ...expected,
    entries: [
      ...expected.entries.filter((entry) => (entry as { kind?: string }).kind !== 'unit'),
      unit,
    ],
  });
});

test('uninstall removes what it knows, names the rest, and leaves that to the version that knows it', async () => {
  await install();
  await change(INVENTORY, (old) => ({ ...old, entries: [...(old['entries'] as []), MOUNT] }));

  const ran = await machine.run(['uninstall', '--yes', '--json']);
  expect({ exitCode: ran.exitCode, left: JSON.parse(ran.stdout).left }).toEqual({
    exitCode: 0,
    left: [MOUNT],
  });
  expect(await machine.files.list(HOST_STATE)).toEqual(['inventory.json']);
  expect(await machine.json(INVENTORY)).toEqual({ v: 1, entries: [MOUNT] });
  expect(await machine.files.stat('/etc/pipeops-agent')).toBeUndefined();

  const again = await machine.run(['uninstall', '--yes', '--json']);
  expect([again.exitCode, errorOf(again)]).toMatchObject([
    10,
    {
      code: 'STATE_NEWER',
      message: 'Only a newer pipeops-agent knows mount /srv/pipeops',
      hint: 'Install that version, and uninstall with it',
    },
  ]);
  expect(await machine.json(INVENTORY)).toEqual({ v: 1, entries: [MOUNT] });
});

test('uninstall says to a person what is left', async () => {
  await install();
  await change(INVENTORY, (old) => ({ ...old, entries: [...(old['entries'] as []), MOUNT] }));
  const { stderr } = await machine.run(['uninstall', '--yes']);
  expect(stderr).toContain(
    'Left: mount /srv/pipeops, which only another version of pipeops-agent can remove. ' +
      'To remove it too: install that version, and uninstall with it\n',
  );
});

test.each(['install', 'uninstall --yes'])(
  '%s touches nothing where the inventory needs a newer version',
  async (line) => {
    await install();
    await change(INVENTORY, () => ({ v: 2, things: { '/etc/pipeops-agent': 'directory' } }));
    const before = await machine.files.readText(INVENTORY);

    const ran = await machine.run([...line.split(' '), '--json'], { env: INSTALL_ENV });
    expect(errorOf(ran)).toEqual({
      exitCode: 10,
      code: 'STATE_NEWER',
      message: expect.stringMatching(/inventory\.json was written by a newer pipeops-agent/),
      hint: 'Install the newer version again. Nothing was changed: what was installed here is all in it',
      details: { path: INVENTORY, needs_reader: 2, reader: 1 },
    });
    expect(await machine.files.readText(INVENTORY)).toBe(before ?? '');
    expect(await machine.files.stat('/etc/pipeops-agent')).toBeDefined();
  },
);

test('the journal of steps keeps what other versions have noted', async () => {
  await install();
  const foreign = { state: 'undone', at: 'yesterday', by: '9.0.0' };
  await change(STEPS, (old) => ({ ...old, 'audit-log': foreign, 'k3s-start': foreign }));
  await install('--log-level', 'debug');
  expect(await machine.json(STEPS)).toMatchObject({
    'audit-log': foreign,
    'k3s-start': foreign,
    'agent-config': { state: 'done' },
  });
  // It has started, whatever became of it: the node may be in the cluster under its name.
  expect(errorOf(await install('--node-name', 'another')).code).toBe('SETTING_FIXED');
});

test('a damaged journal of steps is begun anew', async () => {
  await install();
  await machine.files.writeAtomic(STEPS, '{"k3s-st', { mode: 0o600 });
  expect((await install('--log-level', 'debug')).exitCode).toBe(0);
  expect(await machine.json(STEPS)).toMatchObject({ 'agent-config': { state: 'done' } });
});

test('settings of a newer version stay in the file, whatever is set beside them', async () => {
  await install();
  const file = '/etc/pipeops-agent/config.yaml';
  const text = (await machine.files.readText(file)) ?? '';
  const newer = 'telemetry: {endpoint: "https://t.example"}\nlog: {sinks: [journal]}\n';
  await machine.files.writeAtomic(file, `${text}# mine\n${newer}`, { mode: 0o640 });
  const same = await install();
  expect(same.stderr).toContain(
    `${file} has keys that are not known here:\n  - line 9: telemetry: is not a setting and is ignored\n` +
      '  - line 10: log.sinks: is not a setting and is ignored\n',
  );
  expect(
    JSON.parse(same.stdout).steps.filter(({ changed }: { changed: boolean }) => changed),
  ).toEqual([]);
  expect(await machine.files.readText(file)).toContain('# mine');

  expect((await install('--log-level', 'debug')).exitCode).toBe(0);
  expect(Bun.YAML.parse((await machine.files.readText(file)) ?? '')).toEqual({
    cluster: { name: 'test' },
    control_plane: { url: CONTROL_PLANE },
    k3s: { mirror: MIRROR },
    log: { level: 'debug', sinks: ['journal'] },
    telemetry: { endpoint: 'https://t.example' },
  });
});

test('what a newer version told k3s stays when k3s is told something else', async () => {
  await install();
  const text = (await machine.files.readText(K3S_CONFIG)) ?? '';
  await machine.files.writeAtomic(K3S_CONFIG, `${text}secrets-encryption: true\n`, { mode: 0o600 });
  const same = JSON.parse((await install()).stdout) as {
    steps: { id: string; changed: boolean }[];
  };
  expect(same.steps.filter(({ changed }) => changed)).toEqual([]);

  expect((await install('--traefik')).exitCode).toBe(0);
  const config = Bun.YAML.parse((await machine.files.readText(K3S_CONFIG)) ?? '');
  expect(config).toEqual({
    'write-kubeconfig-mode': '0600',
    'kubelet-arg+': ['seccomp-default=true'],
    'secrets-encryption': true,
  });
});

test('nothing that stands beside our settings for k3s leads it elsewhere', async () => {
  await install();
  const text = (await machine.files.readText(K3S_CONFIG)) ?? '';
  await machine.files.writeAtomic(K3S_CONFIG, `${text}data-dir: /srv\n`, { mode: 0o600 });
  const { code, message } = errorOf(await install());
  expect([code, message]).toEqual([
    'CONFIG_INVALID',
    `k3s would read "data-dir" in ${K3S_CONFIG}:5, where it must be "/var/lib/rancher/k3s"`,
  ]);
});

test('server.json keeps what another version has written beside', async () => {
  const file = '/etc/pipeops-agent/server.json';
  await machine.files.makeDirectory('/var/lib/rancher/k3s/agent', { mode: 0o755 });
  await machine.files.makeDirectory('/etc/pipeops-agent', { mode: 0o755 });
  const ca = '/var/lib/rancher/k3s/agent/server-ca.crt';
  await machine.files.writeAtomic(ca, CLUSTER_CA, { mode: 0o644 });
  const newer = { v: 1, url: 'https://10.0.0.1:6443', ca: CLUSTER_CA, zone: 'a' };
  await machine.files.writeAtomic(file, JSON.stringify(newer), { mode: 0o640 });
  const files = {
    ...machine.files,
    // Nobody here may give files away.
    writeAtomic: (path: string, text: string) =>
      machine.files.writeAtomic(path, text, { mode: 0o640 }),
  };
  const deps = { files, places: placesOf() };
  const inventory = await openInventory(deps);
  const same = joinedServer(deps, inventory, 'https://10.0.0.1:6443');
  expect(await same.isDone()).toBeTrue();

  const moved = joinedServer(deps, inventory, 'https://10.0.0.2:6443');
  expect(await moved.isDone()).toBeFalse();
  await moved.apply(
    () => undefined,
    () => undefined,
  );
  expect(await machine.json(file)).toEqual({ ...newer, url: 'https://10.0.0.2:6443' });
  expect(await moved.isDone()).toBeTrue();
});
