/** What is taken away: after `uninstall`, and after `--undo`, the machine is as it was, to the byte. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  agentIsNotReady,
  agentIsReady,
  errorOf,
  INSTALL,
  INSTALL_ENV,
  setUp as setUpBy,
  stateOf,
} from '../support/installation.ts';
import { nextKill, SWEEP_TIMEOUT_MS } from '../support/sampled.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const PASSWORD = '/etc/rancher/node/password';
const STEPS = '/var/lib/pipeops-agent-host/steps.json';
/** More than any subcommand makes. */
const CHANGES_MAX = 300;

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const SUBCOMMANDS = { server: 'install', worker: 'join' } as const;

const setUp = (role: keyof typeof SUBCOMMANDS) => setUpBy(machine, SUBCOMMANDS[role]);
const undo = (...flags: readonly string[]) =>
  machine.run(['install', '--undo', '--yes', '--json', ...flags]);

const state = (without: readonly string[] = []) => stateOf(machine, without);

const OF_PASSWORD = ['/etc/rancher', '/etc/rancher/node', PASSWORD];

test('what goes with k3s counts as removed, as the dry run says', async () => {
  await setUp('server');
  const asJson = async (flag: string) =>
    JSON.parse((await machine.run(['uninstall', '--json', flag])).stdout);
  const planned: readonly string[] = (await asJson('--dry-run')).plan.map(
    ({ title }: { readonly title: string }) => title,
  );
  expect(planned).toContain('Remove directory /var/lib/rancher');
  expect((await asJson('--yes')).removed).toEqual(
    planned.filter((title) => !title.startsWith('Remove the inventory')),
  );
});

describe.each(['server', 'worker'] as const)('a %s', (role) => {
  test('is as it was after an installation and its removal', async () => {
    const before = await state();
    expect((await setUp(role)).exitCode).toBe(0);
    const ran = await machine.run(['uninstall', '--yes', '--delete-data']);
    expect({ exitCode: ran.exitCode, ...(await state()) }).toEqual({ exitCode: 0, ...before });
  });

  test(
    'is as it was after --undo, wherever the installation was killed',
    async () => {
      const before = await state(OF_PASSWORD);
      let change = 1;
      for (; change < CHANGES_MAX; change = nextKill(change)) {
        machine.killAt(change);
        if ((await setUp(role)).exitCode === 0) {
          break;
        }
        const runs = machine.units.get('pipeops-agent.service') === 'active';
        const ran = await undo();
        const code = ran.exitCode === 0 ? 'done' : errorOf(ran).code;
        if (runs) {
          // It is ready by itself: from then on only what says "uninstall" takes it away.
          await machine.run(['uninstall', '--yes']);
        }
        const after = { change, ...(await state(OF_PASSWORD)) };
        // Before the first change there is nothing to take back.
        expect({ code: code === 'NOT_INSTALLED' ? 'done' : code, ...after }).toEqual({
          code: runs ? 'CLUSTER_EXISTS' : 'done',
          change,
          ...before,
        });
        await machine.files.remove(PASSWORD);
        await Promise.all(OF_PASSWORD.toReversed().map(removeIfEmpty));
      }
      expect(change).toBeWithin(30, CHANGES_MAX);
    },
    SWEEP_TIMEOUT_MS,
  );

  test(
    'goes on with --undo where that was killed',
    async () => {
      const before = await state(OF_PASSWORD);
      agentIsNotReady(machine);
      let change = 1;
      for (; change < CHANGES_MAX; change = nextKill(change)) {
        expect((await setUp(role)).exitCode).not.toBe(0);
        machine.killAt(change);
        if ((await undo()).exitCode === 0) {
          break;
        }
        const ran = await undo();
        expect({ change, exitCode: ran.exitCode, ...(await state(OF_PASSWORD)) }).toEqual({
          change,
          exitCode: 0,
          ...before,
        });
      }
      expect(change).toBeWithin(15, CHANGES_MAX);
      expect(await state(OF_PASSWORD)).toEqual(before);
    },
    SWEEP_TIMEOUT_MS,
  );

  test('keeps what stood there before, as it was', async () => {
    await somebodyWasHere();
    const before = await state(OF_PASSWORD);
    agentIsNotReady(machine);
    expect((await setUp(role)).exitCode).not.toBe(0);
    expect((await undo()).exitCode).toBe(0);
    expect(await state(OF_PASSWORD)).toEqual(before);

    agentIsReady(machine);
    expect((await setUp(role)).exitCode).toBe(0);
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    expect(await state(OF_PASSWORD)).toEqual(before);
  });

  test('offers the way back when the first installation fails, and no other', async () => {
    agentIsNotReady(machine);
    const subcommand = role === 'server' ? 'install' : 'join';
    const offer = `To take it back: sudo pipeops-agent ${subcommand} --undo`;
    expect(errorOf(await setUp(role)).hint).toEndWith(offer);
    expect(errorOf(await setUp(role)).hint).toEndWith(offer);

    agentIsReady(machine);
    expect((await setUp(role)).exitCode).toBe(0);
    agentIsNotReady(machine);
    await machine.files.remove('/var/lib/pipeops-agent-host/applied');
    expect(errorOf(await setUp(role)).hint ?? '').not.toContain('--undo');
    const finished = await state();
    expect(errorOf(await undo())).toMatchObject({
      exitCode: 4,
      code: 'CLUSTER_EXISTS',
      hint: expect.stringContaining('sudo pipeops-agent uninstall'),
    });
    expect(await state()).toEqual(finished);
  });
});

test('a worker that the cluster has taken in keeps its password, and another does not', async () => {
  const before = await state();
  agentIsNotReady(machine);
  await setUp('worker');
  const ran = await undo();
  expect(JSON.parse(ran.stdout)).toMatchObject({ kept: [PASSWORD], left: [] });
  expect(await machine.files.readText(PASSWORD)).toBe('0123456789abcdef\n');
  await machine.files.removeTree('/etc/rancher');

  machine.programs.set('journalctl', () => ({
    stdout: 'level=fatal msg="Node password rejected, duplicate hostname"',
  }));
  machine.web.set('http://127.0.0.1:10248/healthz', async () => {
    await machine.files.remove('/var/lib/rancher/k3s/agent/client-kubelet.crt');
    machine.units.set('k3s-agent.service', 'failed');
    return new Response('', { status: 500 });
  });
  expect(errorOf(await setUp('worker')).code).toBe('NODE_NAME_TAKEN');
  const refused = await undo();
  expect(JSON.parse(refused.stdout)).toMatchObject({ kept: [] });
  expect(await state()).toEqual(before);
});

describe('of an older version, which takes no note of the whole', () => {
  const withoutNote = async () => {
    const { installation: _, ...steps } = JSON.parse((await machine.files.readText(STEPS)) ?? '');
    await machine.files.writeAtomic(STEPS, JSON.stringify(steps), { mode: 0o600 });
  };

  test('an installation that was finished is not taken back', async () => {
    const before = await state();
    await setUp('server');
    await withoutNote();
    expect(errorOf(await undo())).toMatchObject({ exitCode: 4, code: 'CLUSTER_EXISTS' });
    // A failure of today does not make it unfinished, and a journal that is lost neither.
    agentIsNotReady(machine);
    await machine.files.remove('/var/lib/pipeops-agent-host/applied');
    expect(errorOf(await setUp('server')).hint ?? '').not.toContain('--undo');
    await machine.files.remove(STEPS);
    expect(errorOf(await undo())).toMatchObject({ code: 'CLUSTER_EXISTS' });
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    expect(await state()).toEqual(before);
  });

  test('an installation that ended before the agent was started is taken back', async () => {
    const before = await state();
    machine.programs.set('useradd', () => ({ exitCode: 4, stderr: 'UID already in use' }));
    await setUp('server');
    await withoutNote();
    expect((await undo()).exitCode).toBe(0);
    expect(await state()).toEqual(before);
  });
});

test('a first Ctrl-C ends it before the next removal, and a second run goes on', async () => {
  const before = await state();
  await setUp('server');
  const interruption = new AbortController();
  const users = (await machine.files.readText('/etc/passwd')) ?? '';
  machine.programs.set('userdel', async () => {
    interruption.abort();
    const left = users.replace(/^pipeops-agent:.*\n/m, '');
    await machine.files.writeAtomic('/etc/passwd', left, { mode: 0o644 });
    return {};
  });
  const words = ['uninstall', '--yes', '--json'];
  const ran = await machine.run(words, { signal: interruption.signal });
  expect(errorOf(ran)).toMatchObject({
    exitCode: 130,
    code: 'INTERRUPTED',
    message: 'Interrupted before: Remove group pipeops-agent',
    hint: 'Run the same command again: it goes on where it ended',
  });
  expect(await machine.files.readText('/etc/group')).toContain('pipeops-agent:');
  expect((await machine.run(words)).exitCode).toBe(0);
  expect(await state()).toEqual(before);
});

test('--dry-run tells what would be removed and changes nothing, by text and by JSON', async () => {
  agentIsNotReady(machine);
  await setUp('server');
  const before = await state();
  const text = await machine.run(['install', '--undo', '--dry-run']);
  expect(text.stdout.trimEnd().split('\n')).toEqual(UNDO_PLAN);
  const { plan, kept, left } = JSON.parse((await undo('--dry-run')).stdout);
  expect({ kept, left, first: plan[0] }).toEqual({
    kept: [],
    left: [],
    first: {
      title: 'Stop and remove /etc/systemd/system/pipeops-agent.service',
      changes: [
        { action: 'stop', target: 'pipeops-agent.service' },
        { action: 'remove', target: '/etc/systemd/system/pipeops-agent.service' },
      ],
      commands: [
        ['systemctl', 'disable', '--quiet', '--now', 'pipeops-agent.service'],
        ['systemctl', 'daemon-reload'],
      ],
    },
  });
  expect((await machine.run(['uninstall', '--dry-run'])).stdout).toBe(text.stdout);
  const keeping = await machine.run(['uninstall', '--dry-run', '--keep-k3s', '--keep-data']);
  expect(keeping.stdout).toContain("Remove the agent's account in Kubernetes");
  expect(keeping.stdout).not.toContain('Remove k3s');
  expect(keeping.stdout).not.toContain('/var/lib/pipeops-agent');
  expect(await state()).toEqual(before);
});

test('a k3s of another version than the one that was asked for is no k3s, and is taken back', async () => {
  const before = await state();
  machine.programs.set('sh', async () => {
    await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
    await machine.files.writeAtomic('/usr/local/bin/k3s', 'v1.33.0+k3s1', { mode: 0o755 });
    await machine.files.writeAtomic('/etc/systemd/system/k3s.service', '', { mode: 0o644 });
    await machine.files.writeAtomic('/usr/local/bin/k3s-uninstall.sh', 'k3s', { mode: 0o755 });
    return {};
  });
  const words = [...INSTALL, '--k3s-version', 'v1.36.3+k3s1'];
  expect(errorOf(await machine.run(words, { env: INSTALL_ENV }))).toMatchObject({
    code: 'DOWNLOAD_CORRUPT',
    message: 'k3s v1.33.0+k3s1 was placed instead of v1.36.3+k3s1',
  });
  expect((await undo()).exitCode).toBe(0);
  expect(await state()).toEqual(before);
});

test('--undo where nothing was begun says so', async () => {
  const before = await state();
  expect(errorOf(await undo())).toMatchObject({ exitCode: 4, code: 'NOT_INSTALLED' });
  const joining = await machine.run(['join', '--undo', '--json']);
  expect(errorOf(joining)).toMatchObject({ exitCode: 4, code: 'NOT_INSTALLED' });
  expect(await state()).toEqual(before);
});

test('a program that somebody has put in the place of the link stays', async () => {
  await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
  await machine.files.writeAtomic('/usr/local/bin/pipeops-agent', 'mine', { mode: 0o755 });
  const before = await state();
  expect(errorOf(await setUp('server')).code).toBe('FILE_ACCESS');
  expect((await undo()).exitCode).toBe(0);
  expect(await state()).toEqual(before);
});

const UNDO_PLAN = [
  'Stop and remove /etc/systemd/system/pipeops-agent.service',
  'Remove file /etc/systemd/system/pipeops-agent-k3s-asked.service    stop pipeops-agent-k3s-asked.timer',
  'Remove file /etc/systemd/system/pipeops-agent-k3s-asked.timer',
  'Remove file /etc/systemd/system/pipeops-agent-k3s-upgrade.service  stop pipeops-agent-k3s-upgrade.path',
  'Remove file /etc/systemd/system/pipeops-agent-k3s-upgrade.path',
  'Remove file /etc/systemd/system/pipeops-agent-snapshots.service    stop pipeops-agent-snapshots.timer',
  'Remove file /etc/systemd/system/pipeops-agent-snapshots.timer',
  'Remove file /etc/systemd/system/pipeops-agent-helper@.service      stop pipeops-agent-helper.socket',
  'Remove file /etc/systemd/system/pipeops-agent-helper.socket',
  'Remove directory /etc/pipeops-agent',
  'Remove directory /var/lib/pipeops-agent',
  'Remove user pipeops-agent',
  'Remove group pipeops-agent',
  'Remove k3s (server) and what runs in it                            stop k3s.service, ' +
    'remove /etc/systemd/system/k3s.service, remove /usr/local/bin/k3s, remove /var/lib/rancher/k3s',
  'Remove the configuration of k3s                                    ' +
    'remove /etc/rancher/k3s/config.yaml.d/50-pipeops.yaml',
  'Remove directory /var/lib/rancher',
  'Remove directory /etc/rancher/node',
  'Remove directory /etc/rancher',
  'Remove link /usr/local/bin/pipeops-agent',
  'Remove directory /opt/pipeops-agent',
  'Remove directory /usr/local/bin',
  'Remove directory /usr/local',
  'Remove directory /opt',
  'Remove the inventory, /var/lib/pipeops-agent-host',
  '',
  'Commands, in order:',
  '  systemctl disable --quiet --now pipeops-agent.service',
  '  systemctl daemon-reload',
  '  systemctl disable --quiet --now pipeops-agent-k3s-asked.timer',
  '  systemctl stop pipeops-agent-k3s-asked.service',
  '  systemctl disable --quiet --now pipeops-agent-k3s-upgrade.path',
  '  systemctl stop pipeops-agent-k3s-upgrade.service',
  '  systemctl disable --quiet --now pipeops-agent-snapshots.timer',
  '  systemctl stop pipeops-agent-snapshots.service',
  '  systemctl disable --quiet --now pipeops-agent-helper.socket',
  "  systemctl stop 'pipeops-agent-helper@*.service'",
  '  userdel pipeops-agent',
];

async function removeIfEmpty(path: string): Promise<void> {
  if ((await machine.files.stat(path)) !== undefined && !(await machine.files.list(path)).length) {
    await machine.files.removeTree(path);
  }
}

/** Files, directories, a group and a link by names that an installation uses. */
async function somebodyWasHere(): Promise<void> {
  const { files } = machine;
  const put = async (path: string, text: string, mode: number) => {
    await files.makeDirectory(path.slice(0, path.lastIndexOf('/')), { mode: 0o711 });
    await files.writeAtomic(path, text, { mode });
  };
  await put('/etc/pipeops-agent/config.yaml', '# mine\nlog: { level: debug }\n', 0o604);
  await put('/etc/pipeops-agent/kubeconfig', 'of another time', 0o600);
  await put('/etc/pipeops-agent/notes', 'not of the agent', 0o644);
  await put('/etc/systemd/system/pipeops-agent.service', '[Unit]\n', 0o600);
  await put('/etc/rancher/k3s/registries.yaml', 'mirrors: {}\n', 0o600);
  await put('/opt/other/file', '', 0o644);
  await put('/usr/local/bin/other', '', 0o755);
  await put('/srv/agent', 'a program', 0o755);
  await files.link('/srv/agent', '/usr/local/bin/pipeops-agent');
  await files.makeDirectory('/etc/rancher/k3s/config.yaml.d', { mode: 0o700 });
  await files.makeDirectory('/var/lib/pipeops-agent', { mode: 0o711 });
  const group = (await files.readText('/etc/group')) ?? '';
  const gid = process.getgid?.() ?? 0;
  await files.writeAtomic('/etc/group', `${group}pipeops-agent:x:${gid}:\n`, { mode: 0o644 });
}

describe('killed while it wrote a unit', () => {
  const OF_UNIT = '/etc/systemd/system/.pipeops-agent.service';
  const UNFINISHED = `${OF_UNIT}.11111111-2222-4333-8444-555555555555.tmp`;
  const OTHERS = [`${OF_UNIT}.swp`, '/etc/systemd/system/.other.service.11111111.tmp'];
  const leftBeside = async () =>
    Object.keys(await machine.tree()).filter((path) => path.startsWith('/etc/systemd/system/.'));

  beforeEach(async () => {
    agentIsNotReady(machine);
    expect((await setUp('server')).exitCode).not.toBe(0);
    for (const path of [UNFINISHED, ...OTHERS]) {
      await machine.put(path, '');
    }
  });

  test('the next installation removes what lies beside it, and nothing of others', async () => {
    await setUp('server');
    expect((await leftBeside()).sort()).toEqual(OTHERS.toSorted());
  });

  test('--undo removes what lies beside it, and nothing of others', async () => {
    expect((await undo()).exitCode).toBe(0);
    expect((await leftBeside()).sort()).toEqual(OTHERS.toSorted());
  });
});
