/** `--undo` never takes away by mistake what is used, or more than it says. On a simulated machine. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { AgentError } from '../../src/core/errors.ts';
import {
  agentIsNotReady,
  agentIsReady,
  errorOf,
  setUp as setUpBy,
  stateOf,
} from '../support/installation.ts';
import { nextKill, SWEEP_TIMEOUT_MS } from '../support/sampled.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const WAS_READY = '/var/lib/pipeops-agent/was-ready';
const STATE = '/var/lib/pipeops-agent-host';
type Subcommand = 'install' | 'join';

const WORKER = {
  metadata: { name: 'worker-1', labels: {} },
  status: {
    conditions: [],
    addresses: [],
    nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' },
  },
};

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const setUp = (subcommand: Subcommand, ...more: readonly string[]) =>
  setUpBy(machine, subcommand, ...more);

/** As after a crash of the daemon: the next installation cannot start it. */
const agentDoesNotStart = () => {
  machine.units.set('pipeops-agent.service', 'failed');
  agentIsNotReady(machine);
};

const state = () => stateOf(machine);

/** A first installation that ended at its last step. */
async function failAtTheEnd(subcommand: Subcommand): Promise<void> {
  agentIsNotReady(machine);
  expect(errorOf(await setUp(subcommand)).hint).toEndWith(`${subcommand} --undo`);
}

const REFUSED = {
  exitCode: 4,
  code: 'CLUSTER_EXISTS',
  hint: expect.stringContaining('sudo pipeops-agent uninstall'),
};

describe.each(['install', 'join'] as const)('an agent that %s did not wait for', (subcommand) => {
  test('and that is ready by now is not taken back', async () => {
    await failAtTheEnd(subcommand);
    agentIsReady(machine);
    const before = await state();
    const planned = await machine.run([subcommand, '--undo', '--dry-run', '--json']);
    expect(errorOf(planned)).toMatchObject(REFUSED);
    expect(await state()).toEqual(before);
    expect(errorOf(await machine.run([subcommand, '--undo', '--yes', '--json']))).toMatchObject(
      REFUSED,
    );
    // It was ready once: that stays so.
    agentDoesNotStart();
    expect(errorOf(await machine.run([subcommand, '--undo', '--yes', '--json']))).toMatchObject(
      REFUSED,
    );
  });

  test('and that was ready at any time since is not offered to be taken back', async () => {
    await failAtTheEnd(subcommand);
    // The daemon's own note; by now it is not ready again.
    await machine.files.writeAtomic(WAS_READY, '', { mode: 0o600 });
    const failed = errorOf(await setUp(subcommand));
    expect({ code: failed.code, offers: failed.hint?.includes('--undo') ?? false }).toEqual({
      code: 'POLICY_INVALID',
      offers: false,
    });
    expect(errorOf(await machine.run([subcommand, '--undo', '--yes', '--json']))).toMatchObject(
      REFUSED,
    );
  });

  test('and that was ready when a later run began is not offered to be taken back', async () => {
    await failAtTheEnd(subcommand);
    agentIsReady(machine);
    machine.web.set('http://agent/api/session', () => {
      agentIsNotReady(machine);
      return Response.json({ phase: 'registering' });
    });
    await machine.files.remove(`${STATE}/applied`);
    machine.programs.set('systemctl', (argv) => {
      if (argv[1] === 'restart') {
        agentDoesNotStart();
        return { exitCode: 1, stderr: 'Job failed' };
      }
      return { stdout: argv.includes('--value') ? 'active' : 'ActiveState=active' };
    });
    const failed = await setUp(subcommand);
    expect(failed.exitCode).not.toBe(0);
    expect(errorOf(failed).hint ?? '').not.toContain('--undo');
    machine.programs.delete('systemctl');
    expect(errorOf(await machine.run([subcommand, '--undo', '--yes', '--json']))).toMatchObject(
      REFUSED,
    );
  });

  test('of an older version is not taken back when the newer one fails', async () => {
    await failAtTheEnd(subcommand);
    const older = '/opt/pipeops-agent/0.0.1/pipeops-agent';
    await machine.files.makeDirectory('/opt/pipeops-agent/0.0.1', { mode: 0o755 });
    await machine.files.writeAtomic(older, 'older', { mode: 0o755 });
    await machine.files.link(older, '/usr/local/bin/pipeops-agent');
    const failed = errorOf(await setUp(subcommand));
    expect({ code: failed.code, offers: failed.hint?.includes('--undo') ?? false }).toEqual({
      code: 'POLICY_INVALID',
      offers: false,
    });
  });
});

test('what fails after the agent was ready once does not make it unfinished', async () => {
  const versions = '/opt/pipeops-agent';
  for (const name of ['0.0.1', '0.0.2']) {
    await machine.files.makeDirectory(`${versions}/${name}`, { mode: 0o755 });
  }
  const { removeTree } = machine.files;
  Object.assign(machine.files, {
    removeTree: async (path: string) => {
      if (path === `${versions}/0.0.1`) {
        throw new AgentError('FILE_ACCESS', `Cannot remove ${path}`, { hint: 'Look at it' });
      }
      return removeTree(path);
    },
  });
  const { code, hint } = errorOf(await setUp('install'));
  expect({ code, hint }).toEqual({ code: 'FILE_ACCESS', hint: 'Look at it' });
});

describe('what `uninstall` has left in place', () => {
  test.each([
    [['--keep-data'], '/var/lib/pipeops-agent/credentials/control-plane-token'],
    [['--keep-k3s'], '/usr/local/bin/k3s'],
    [['--keep-k3s', '--keep-data'], '/usr/local/bin/k3s'],
  ])('with %p is not taken back with an installation that fails later', async (flags, kept) => {
    await failAtTheEnd('install');
    expect((await machine.run(['uninstall', '--yes', ...flags])).exitCode).toBe(0);
    expect(errorOf(await setUp('install')).hint ?? '').not.toContain('--undo');
    expect(errorOf(await machine.run(['install', '--undo', '--yes', '--json']))).toMatchObject(
      REFUSED,
    );
    expect(await machine.files.stat(kept)).toBeDefined();
  });
});

describe('--undo', () => {
  test('asks as `uninstall` does, and names the workers', async () => {
    await failAtTheEnd('install');
    machine.programs.set('/usr/local/bin/k3s', (argv) =>
      argv.includes('nodes') ? { stdout: JSON.stringify({ items: [WORKER] }) } : {},
    );
    const before = await state();
    for (const confirm of [false, undefined]) {
      const refused = await machine.run(
        ['install', '--undo', '--json'],
        confirm === undefined ? {} : { confirm },
      );
      expect(errorOf(refused)).toMatchObject({
        exitCode: 2,
        code: 'USAGE',
        message: 'Nothing was removed: it was not confirmed',
        hint: 'Answer y, or give --yes',
      });
      expect(refused.stderr).toStartWith('These workers hang on this server: worker-1\n');
    }
    expect(await state()).toEqual(before);
    const done = await machine.run(['install', '--undo', '--json'], { confirm: true });
    expect(done.exitCode).toBe(0);
    const { kept, left, workers, listed_node } = JSON.parse(done.stdout);
    expect({ kept, left, workers, listed_node }).toEqual({
      kept: [],
      left: [],
      listed_node: null,
      workers: ['worker-1'],
    });
  });

  test.each([
    ['install', ['--token-file', '/nowhere'], '--token-file'],
    ['install', ['--policy', 'full', '--port', '80'], '--policy and --port'],
    ['install', ['--config=/nowhere'], '--config'],
    ['install', ['--no-traefik'], '--traefik'],
    ['join', ['--token', 'secret-word'], '--token'],
    ['join', ['--dry-run', '--node-name', 'other'], '--node-name'],
  ] as const)('of %s with %p is refused', async (subcommand, flags, named) => {
    await failAtTheEnd('install');
    const before = await state();
    const ran = await machine.run([subcommand, '--undo', '--yes', '--json', ...flags]);
    expect(errorOf(ran)).toEqual({
      exitCode: 2,
      code: 'USAGE',
      message: `--undo takes back all that was begun: it does not go with ${named}`,
      hint: 'Beside --undo, only --yes, --dry-run and --json count',
    });
    expect(await state()).toEqual(before);
  });

  test.each([
    ['install', '--undo or --adopt'],
    ['join', '--undo'],
  ] as const)('is what --yes of %s is for', async (subcommand, partners) => {
    const before = await state();
    expect(errorOf(await setUp(subcommand, '--yes'))).toMatchObject({
      exitCode: 2,
      code: 'USAGE',
      message: `--yes goes only with ${partners}`,
    });
    expect(await state()).toEqual(before);
  });
});

describe('a directory that others use, too', () => {
  const files = ['/usr/local/bin/other', '/opt/other', '/etc/rancher/other', '/usr/local/share'];
  const titles = (of: readonly string[]) => of.filter((title) => title.startsWith('Remove dir'));

  test('is told of only where it goes: in the dry run, and when it is done', async () => {
    await failAtTheEnd('install');
    for (const file of files) {
      await machine.files.writeAtomic(file, 'of somebody', { mode: 0o644 });
    }
    const expected = [
      'Remove directory /etc/pipeops-agent',
      'Remove directory /var/lib/pipeops-agent',
      'Remove directory /var/lib/rancher',
      'Remove directory /etc/rancher/node',
      'Remove directory /opt/pipeops-agent',
    ];
    const { plan } = JSON.parse(
      (await machine.run(['install', '--undo', '--dry-run', '--json'])).stdout,
    ) as { plan: { title: string }[] };
    expect(titles(plan.map(({ title }) => title))).toEqual(expected);
    const ran = await machine.run(['install', '--undo', '--yes', '--json']);
    expect(titles(JSON.parse(ran.stdout).removed)).toEqual(expected);
    expect(ran.stderr).not.toContain('Remove directory /opt\n');
    for (const file of files) {
      expect(await machine.files.readText(file)).toBe('of somebody');
    }
  });

  test('is never removed with what comes into it meanwhile', async () => {
    await failAtTheEnd('install');
    const late = '/opt/late';
    const { removeTree, removeEmptyDirectory } = machine.files;
    const comesFirst = (remove: typeof removeTree) => async (path: string) => {
      if (path === '/opt') {
        await machine.files.writeAtomic(late, 'of somebody', { mode: 0o644 });
      }
      return remove(path);
    };
    Object.assign(machine.files, {
      removeTree: comesFirst(removeTree),
      removeEmptyDirectory: comesFirst(removeEmptyDirectory),
    });
    expect((await machine.run(['install', '--undo', '--yes'])).exitCode).toBe(0);
    expect(await machine.files.readText(late)).toBe('of somebody');
  });
});

test(
  'what was here before is put back wherever --undo is killed',
  async () => {
    const config = '/etc/pipeops-agent/config.yaml';
    await machine.files.makeDirectory('/etc/pipeops-agent', { mode: 0o755 });
    await machine.files.writeAtomic(config, '# mine\n', { mode: 0o604 });
    await machine.files.makeDirectory('/opt', { mode: 0o755 });
    await machine.files.makeDirectory('/etc/rancher/k3s', { mode: 0o700 });
    const group = (await machine.files.readText('/etc/group')) ?? '';
    const gid = process.getgid?.() ?? 0;
    await machine.files.writeAtomic('/etc/group', `${group}pipeops-agent:x:${gid}:\n`, {
      mode: 0o644,
    });
    const before = await state();
    let change = 1;
    for (; change < 200; change = nextKill(change)) {
      await failAtTheEnd('install');
      machine.killAt(change);
      if ((await machine.run(['install', '--undo', '--yes'])).exitCode === 0) {
        break;
      }
      const ran = await machine.run(['install', '--undo', '--yes']);
      expect({ change, exitCode: ran.exitCode, ...(await state()) }).toEqual({
        change,
        exitCode: 0,
        ...before,
      });
    }
    expect(change).toBeWithin(15, 200);
  },
  SWEEP_TIMEOUT_MS,
);
