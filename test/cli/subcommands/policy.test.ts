import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import { errorOf, INSTALL_ENV } from '../../support/installation.ts';
import {
  applied,
  type SimulatedMachine,
  simulatedMachine,
} from '../../support/simulated-machine.ts';

const { policyFile } = placesOf();

const K3S = '/usr/local/bin/k3s';

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...words: readonly string[]) =>
  machine.run(['install', '--token-file', '/root/token', '--cluster-name', 'test', ...words], {
    env: INSTALL_ENV,
  });
const apply = (...words: readonly string[]) => machine.run(['policy', 'apply', '--json', ...words]);
const account = async () => (await machine.files.readText('/cluster/account')) ?? '';
const state = async () => [await machine.files.readText(policyFile), await account()];
const write = (path: string, text: string) =>
  machine.files.writeAtomic(path, text, { mode: 0o640 });

describe('a policy that somebody wrote', () => {
  const backups = async () =>
    (await machine.files.list('/etc/pipeops-agent')).filter((name) => name.includes('.before-'));

  test('is kept when another takes its place, at most five of them; a preset is not', async () => {
    await install();
    expect((await apply('--preset', 'operate')).exitCode).toBe(0);
    expect(await backups()).toEqual([]);
    for (let number = 1; number <= 7; number += 1) {
      await write(policyFile, `# mine ${number}\npreset: standard\n`);
      const ran = await machine.run(['policy', 'apply', '--preset', 'operate']);
      expect(ran.stderr).toMatch(
        /^The policy is in force: preset operate\nThe one before is kept as \/etc\/pipeops-agent\/policy\.yaml\.before-\S+\n$/,
      );
    }
    const kept = await backups();
    expect(kept).toHaveLength(5);
    const texts = await Promise.all(
      kept.map((name) => machine.files.readText(`/etc/pipeops-agent/${name}`)),
    );
    expect(texts.sort()).toEqual([3, 4, 5, 6, 7].map((n) => `# mine ${n}\npreset: standard\n`));
  });

  test('is announced by its file', async () => {
    await install();
    await write('/root/mine.yaml', 'preset: standard\nexec: true\n');
    const ran = await machine.run(['policy', 'apply', '--file', '/root/mine.yaml']);
    expect(ran.stderr).toBe('The policy is in force: /root/mine.yaml, on top of preset standard\n');
    expect(await backups()).toEqual([]);
  });

  test('is refused where a key stands twice: nobody can tell which was meant', async () => {
    await install();
    await write('/root/mine.yaml', 'preset: read-only\npreset: operate\n');
    const ran = await apply('--file', '/root/mine.yaml');
    expect(errorOf(ran)).toMatchObject({
      code: 'POLICY_INVALID',
      message: expect.stringContaining('line 2: preset stands there twice'),
    });
  });
});

describe('install', () => {
  test('writes the preset that was asked for, with its permissions, and keeps a file of root', async () => {
    expect((await install('--policy', 'operate')).exitCode).toBe(0);
    expect(await machine.files.readText(policyFile)).toEndWith('\npreset: operate\n');
    expect(await account()).toContain('pods/exec');

    await write(policyFile, '# mine\npreset: operate\nattach: false\n');
    expect((await install()).exitCode).toBe(0);
    expect(await machine.files.readText(policyFile)).toStartWith('# mine');
    expect(await account()).not.toContain('pods/attach');

    expect(errorOf(await install('--policy', 'standard', '--json'))).toMatchObject({
      exitCode: 2,
      code: 'USAGE',
      hint: 'To change it: sudo pipeops-agent policy apply --preset standard',
    });
  });

  test('changes nothing under a policy that cannot be used', async () => {
    await machine.files.makeDirectory('/etc/pipeops-agent', { mode: 0o750 });
    await write(policyFile, 'preset: everything\n');
    const before = await machine.listing();
    expect(errorOf(await install('--json'))).toMatchObject({ exitCode: 3, code: 'POLICY_INVALID' });
    expect(await machine.listing()).toEqual(before);
  });
});

describe('policy apply', () => {
  beforeEach(async () => {
    await install();
  });

  test('sets permissions and file, and says what was before', async () => {
    const ran = await apply('--preset', 'read-only');
    expect([ran.exitCode, JSON.parse(ran.stdout)]).toEqual([
      0,
      {
        preset: 'read-only',
        previous_preset: 'standard',
        file: null,
        previous_file_kept_as: null,
        in_force: true,
        other_servers: [],
      },
    ]);
    const [text, permissions] = await state();
    expect(text).toEndWith('\npreset: read-only\n');
    expect(permissions).not.toContain('create","update","patch');
    expect(await machine.files.stat(policyFile)).toMatchObject({ mode: 0o640 });
  });

  test('says where else it has to be applied', async () => {
    const node = (name: string, role: string, self = false) => ({
      ...{ name, role, self, ready: true, since: null, reason: null },
    });
    const list = [node('a', 'server', true), node('b', 'server'), node('w', 'worker')];
    const health = { ...(await machine.health()), nodes: { total: 3, ready: 3, list } };
    machine.web.set('http://agent/api/health/detailed', () => Response.json(health));
    const { stderr } = await machine.run(['policy', 'apply', '--preset', 'operate']);
    expect(stderr).toContain('Apply it on the other servers, too: b.');
  });

  test('says when the policy is in force', async () => {
    const said = async () => (await machine.run(['policy', 'apply', '--preset', 'operate'])).stderr;
    const running = await said();
    machine.web.delete('http://agent/api/policy');
    machine.units.clear();
    expect([running, await said()]).toEqual([
      'The policy is in force: preset operate\n',
      'The agent does not run; the policy is in force when it starts: preset operate\n',
    ]);
  });

  test('takes a file as it is written, custom resources included', async () => {
    const text = '# ours\nresources: [{group: example.com, resource: widgets, write: true}]\n';
    await write('/root/policy.yaml', text);
    expect((await apply('--file', '/root/policy.yaml')).exitCode).toBe(0);
    const [kept, permissions] = await state();
    expect(kept).toBe(text);
    expect(permissions).toContain('"widgets"');
  });

  test('changes nothing when the file is wrong or the words are', async () => {
    const before = await state();
    await write('/root/policy.yaml', 'exce: true\n');
    const refusals = [
      await apply('--file', '/root/policy.yaml'),
      await apply('--file', '/root/nothing.yaml'),
      await apply('--preset', 'operat'),
      await apply('--preset', 'operate', '--file', '/root/policy.yaml'),
      await apply(),
    ].map(errorOf);
    expect(refusals.map(({ exitCode, code }) => [exitCode, code])).toEqual([
      [3, 'POLICY_INVALID'],
      ...Array.from({ length: 4 }, () => [2, 'USAGE']),
    ]);
    expect(refusals[0]?.message).toContain('exce: is not a key, did you mean "exec"?');
    expect(refusals[2]).toMatchObject({ hint: expect.stringContaining('Did you mean "operate"?') });
    expect(await state()).toEqual(before as unknown as string[]);
  });

  test('goes back to the old permissions when Kubernetes refuses half of the new ones', async () => {
    const before = await state();
    let calls = 0;
    machine.programs.set(K3S, async (_, { stdin }) => {
      calls += 1;
      const stored = (await machine.files.readText('/cluster/account')) ?? '';
      await write('/cluster/account', applied(stored, stdin ?? ''));
      return calls === 1 ? { exitCode: 1, stderr: 'some were forbidden' } : {};
    });
    expect(errorOf(await apply('--preset', 'operate'))).toMatchObject({
      exitCode: 8,
      code: 'KUBERNETES_API',
      message: 'Cannot set the permissions of the agent: some were forbidden',
    });
    expect([calls, await state()]).toEqual([2, before]);
  });

  test('leaves a policy that cannot be used behind', async () => {
    await write(policyFile, 'nonsense: 1\n');
    const ran = await apply('--preset', 'standard');
    expect([ran.exitCode, JSON.parse(ran.stdout)]).toEqual([
      0,
      {
        preset: 'standard',
        previous_preset: null,
        file: null,
        previous_file_kept_as: expect.stringContaining('.before-'),
        in_force: true,
        other_servers: [],
      },
    ]);
  });

  test('is for root, on a server', async () => {
    const user = await machine.run(['policy', 'apply', '--preset', 'operate', '--json'], {
      uid: 1_000,
    });
    expect(errorOf(user)).toMatchObject({ exitCode: 4, code: 'NOT_ROOT' });
    await machine.files.remove('/var/lib/rancher/k3s/server/tls/server-ca.crt');
    expect(errorOf(await apply('--preset', 'operate'))).toMatchObject({
      exitCode: 4,
      code: 'NOT_A_SERVER',
    });
  });
});

test('policy show names every rule; what the file changed comes from the file', async () => {
  await install();
  await write(policyFile, 'exec: true\nnamespaces: {deny: [bank]}\ncommands: {deny: [drain]}\n');
  const ran = await machine.run(['policy', 'show', '--json']);
  const shown = JSON.parse(ran.stdout) as {
    preset: string;
    file: string;
    rules: { rule: string; meaning: string }[];
  };
  expect([shown.preset, shown.file]).toEqual(['standard', policyFile]);
  expect(shown.rules.map(({ rule }) => rule)).toEqual([
    'file/commands.deny[0]',
    'file/namespaces.deny[0]',
    'standard/commands',
    'standard/resources',
    'standard/protected-namespaces',
    'standard/protected-names',
    'standard/nodes, standard/namespaces, standard/own-tokens, standard/webhooks',
    'file/exec',
    'standard/attach',
    'standard/port_forward',
    'standard/tunnel.kubernetes_api',
    'standard/secrets.read',
    'standard/secrets.write',
    ...['standard/host.snapshot', 'standard/host.join_token', 'standard/host.server_token'],
    'standard/host.upgrade_agent',
    'standard/host.restart_k3s',
    'standard/host.support_bundle',
    'standard/host.upgrade_k3s',
    'standard/workers.leave',
    'standard/pod-security',
    'proxy/path-form, proxy/query-form, proxy/method, proxy/non-resource',
    'proxy/impersonation',
  ]);
  expect((await machine.run(['policy', 'show'])).stdout).toContain('file/exec');
  await write(policyFile, 'exec: 3\n');
  expect(errorOf(await machine.run(['policy', 'show', '--json']))).toMatchObject({
    exitCode: 3,
    code: 'POLICY_INVALID',
  });
});

test('policy presets compares the three', async () => {
  const ran = await machine.run(['policy', 'presets', '--json']);
  const { presets } = JSON.parse(ran.stdout) as {
    presets: { name: string; allows: Record<string, boolean> }[];
  };
  expect(presets.map(({ name, allows }) => [name, allows['deploy'], allows['exec']])).toEqual([
    ['read-only', false, false],
    ['standard', true, false],
    ['operate', true, true],
  ]);
  expect((await machine.run(['policy', 'presets'])).stdout).toMatch(/exec +- +- +yes/);
});
