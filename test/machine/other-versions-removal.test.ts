/** What other versions have made and noted: removed, put back, or left and told. Never forgotten. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { agentIsNotReady, errorOf, INSTALL_ENV, STANDALONE } from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const HOST_STATE = '/var/lib/pipeops-agent-host';
const INVENTORY = `${HOST_STATE}/inventory.json`;
const ORIGINALS = `${HOST_STATE}/originals.json`;
const STEPS = `${HOST_STATE}/steps.json`;
const CONFIG = '/etc/pipeops-agent/config.yaml';
const UNIT = '/etc/systemd/system/pipeops-tunnel.service';
/** More than is read of a file whose size nobody expects. */
const HUGE_BYTES = 2 * 1024 * 1024;

interface Entry {
  readonly kind: string;
  readonly name: string;
}

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (...flags: readonly string[]) =>
  machine.run([...STANDALONE, ...flags], { env: INSTALL_ENV });
const uninstall = (...flags: readonly string[]) =>
  machine.run(['uninstall', '--yes', '--json', ...flags]);
const undo = () => machine.run(['install', '--undo', '--yes', '--json']);

const isThere = async (path: string) => (await machine.files.stat(path)) !== undefined;

/** Another version has made these, after all that is in the inventory, or before. */
async function record(entries: readonly Entry[], where: 'after' | 'before' = 'after') {
  const inventory = await machine.json(INVENTORY);
  const ours = inventory['entries'] as readonly Entry[];
  const all = where === 'after' ? [...ours, ...entries] : [...entries, ...ours];
  await machine.put(INVENTORY, JSON.stringify({ ...inventory, entries: all }));
}

async function noteOriginals(originals: readonly unknown[], more: object = {}) {
  await machine.put(ORIGINALS, JSON.stringify({ v: 1, ...more, originals }));
}

describe('the note of how things were', () => {
  const damaged = {
    exitCode: 4,
    code: 'FILE_ACCESS',
    message: `Cannot use ${ORIGINALS}: it is damaged`,
    hint:
      'Restore it from a backup. Or remove it: then what an installation has changed here ' +
      'is not put back as it was before',
  };
  const subcommands = ['install', 'install --undo --yes', 'uninstall --yes'];
  const texts = ['', '{"v": 1, "origi', 'null', '[]', '{"originals": []}', '{"v": 1}'];

  test.each(subcommands.flatMap((line) => texts.map((text) => [line, text] as const)))(
    '%s changes nothing where it is damaged: %p',
    async (line, text) => {
      agentIsNotReady(machine);
      await install();
      await machine.put(ORIGINALS, text);
      const before = await machine.tree();
      const ran = await machine.run([...line.split(' '), '--json'], { env: INSTALL_ENV });
      expect(errorOf(ran)).toMatchObject(damaged);
      expect(await machine.tree()).toEqual(before);
    },
  );

  test.each(subcommands)('%s changes nothing where it needs a newer version', async (line) => {
    agentIsNotReady(machine);
    await install();
    await machine.put(ORIGINALS, JSON.stringify({ v: 2, archive: 'originals.tar' }));
    const before = await machine.tree();
    const ran = await machine.run([...line.split(' '), '--json'], { env: INSTALL_ENV });
    expect(errorOf(ran)).toMatchObject({
      exitCode: 10,
      code: 'STATE_NEWER',
      message: expect.stringContaining(`${ORIGINALS} was written by a newer pipeops-agent`),
      details: { path: ORIGINALS, needs_reader: 2, reader: 1 },
    });
    expect(await machine.tree()).toEqual(before);
  });

  test('it is written again with all that other versions have put into it', async () => {
    const ofOthers = [{ kind: 'sysctl', name: 'vm.max_map_count', value: '65530' }, 'a word'];
    await noteOriginals(ofOthers, { made_by: '9.0.0' });
    await machine.put(CONFIG, 'log: { level: debug }\n');
    expect((await install()).exitCode).toBe(0);
    const { originals, ...rest } = await machine.json(ORIGINALS);
    expect(rest).toEqual({ v: 1, made_by: '9.0.0' });
    expect(originals).toEqual(
      expect.arrayContaining([
        ...ofOthers,
        expect.objectContaining({ kind: 'file', name: CONFIG }),
      ]),
    );
  });

  test('what only another version can put back is left to it, and told', async () => {
    await machine.put(CONFIG, '# of before\n');
    await install();
    const { originals } = await machine.json(ORIGINALS);
    const sysctl = { kind: 'sysctl', name: 'vm.max_map_count', value: '65530' };
    // Of a known kind, in a way that is not known.
    const archived = { kind: 'file', name: '/etc/hosts', archive: 'secret' };
    const all = [sysctl, ...(originals as []), archived];
    await noteOriginals(all, { made_by: '9.0.0' });
    const left = [
      { kind: 'original', name: 'vm.max_map_count' },
      { kind: 'original', name: '/etc/hosts' },
    ];

    expect(JSON.parse((await uninstall('--dry-run')).stdout).left).toEqual(left);
    const ran = await uninstall();
    expect({ exitCode: ran.exitCode, left: JSON.parse(ran.stdout).left }).toEqual({
      exitCode: 0,
      left,
    });
    expect(await machine.files.readText(CONFIG)).toBe('# of before\n');
    expect(await machine.json(ORIGINALS)).toEqual({
      v: 1,
      made_by: '9.0.0',
      originals: [sysctl, archived],
    });
    expect(await machine.files.list(HOST_STATE)).toEqual(['inventory.json', 'originals.json']);
    expect(errorOf(await uninstall())).toMatchObject({
      exitCode: 10,
      code: 'STATE_NEWER',
      message: 'Only a newer pipeops-agent knows original vm.max_map_count, original /etc/hosts',
    });
  });

  test.each([
    ['/etc/pipeops-agent/config.yaml', 'log: { level: info }\n'],
    ['/etc/pipeops-agent/policy.yaml', 'preset: standard\n'],
    ['/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml', 'disable: [traefik]\n'],
    ['/etc/systemd/system/pipeops-agent.service', '[Service]\nExecStart=/bin/true\n'],
  ])('what was noted in an unknown form is not noted a second time: %s', async (path, text) => {
    await machine.put(path, text);
    await install();
    const { originals } = await machine.json(ORIGINALS);
    const archived = { kind: 'archive', name: path, file: 'originals.tar' };
    const others = (originals as readonly Entry[]).filter(({ name }) => name !== path);
    await noteOriginals([...others, archived]);
    // An edit, so that it is written again.
    await machine.put(path, `${text}# edited\n`);
    expect((await install('--log-level', 'debug')).exitCode).toBe(0);
    const notesOf = async (file: string, list: string) =>
      ((await machine.json(file))[list] as readonly Entry[]).filter(({ name }) => name === path);
    expect([await notesOf(ORIGINALS, 'originals'), await notesOf(INVENTORY, 'entries')]).toEqual([
      [archived],
      [],
    ]);

    const { exitCode, stdout } = await uninstall();
    expect([exitCode, JSON.parse(stdout).left]).toEqual([0, [{ kind: 'original', name: path }]]);
    expect(await machine.json(ORIGINALS)).toEqual({ v: 1, originals: [archived] });
  });

  test('what another version has changed is put back, too', async () => {
    const path = '/etc/sysctl.d/90-pipeops.conf';
    await machine.put(path, 'of before\n');
    const before = await machine.tree();
    await install();
    const { uid, gid, mode } = (await machine.files.stat(path)) ?? { uid: 0, gid: 0, mode: 0 };
    await noteOriginals([
      { kind: 'file', name: path, text: 'of before\n', mode, uid, gid },
      { kind: 'nothing', name: '/usr/local' },
      { kind: 'nothing', name: '/opt' },
    ]);
    await machine.put(path, 'of another version\n');
    expect(JSON.parse((await uninstall()).stdout).removed).toContain(`Put back file ${path}`);
    expect(await machine.tree()).toEqual(before);
  });
});

describe('what the release before this one removes', () => {
  /** It stops only the daemon's unit, then it removes paths; all other units must end with that one. */
  test('are paths, and units that start and stop with the daemon', async () => {
    await install();
    const { entries } = await machine.json(INVENTORY);
    const noted = (kind: string) =>
      (entries as readonly Entry[]).filter((each) => each.kind === kind).map(({ name }) => name);
    expect(noted('unit')).toEqual(['/etc/systemd/system/pipeops-agent.service']);
    expect(noted('directory')).toContain('/etc/systemd/system/pipeops-agent.service.wants');
    const others = [...machine.enabled].filter((unit) => /^pipeops-agent[^.]/.test(unit));
    expect(others.toSorted()).toEqual([
      'pipeops-agent-helper.socket',
      'pipeops-agent-k3s-asked.timer',
      'pipeops-agent-k3s-upgrade.path',
      'pipeops-agent-snapshots.timer',
    ]);
    for (const unit of others) {
      const path = `/etc/systemd/system/${unit}`;
      expect(noted('file')).toContain(path);
      const lines = (await machine.files.readText(path))?.split('\n');
      expect(lines).toContain('PartOf=pipeops-agent.service');
      expect(lines?.filter((line) => /^(WantedBy|RequiredBy|Alias|Also)=/.test(line))).toEqual([
        'WantedBy=pipeops-agent.service',
      ]);
    }
  });

  test('is not what an earlier build has noted as units: that becomes files, and goes', async () => {
    const before = await machine.tree();
    await install();
    const inventory = await machine.json(INVENTORY);
    const starting = /\/pipeops-agent-(helper\.socket|snapshots\.timer)$/;
    const entries = (inventory['entries'] as readonly Entry[])
      .filter(({ name }) => !name.endsWith('.wants'))
      .map((each) => (starting.test(each.name) ? { ...each, kind: 'unit' } : each));
    await machine.put(INVENTORY, JSON.stringify({ ...inventory, entries }));
    const paths = entries.map(({ name }) => name).filter((name) => starting.test(name));
    expect(paths).toHaveLength(2);
    await Promise.all(
      paths.map((path) => machine.put(path, '[Install]\nWantedBy=sockets.target\n')),
    );
    expect((await install()).exitCode).toBe(0);
    const after = (await machine.json(INVENTORY))['entries'];
    expect(after).toEqual(expect.arrayContaining(paths.map((name) => ({ kind: 'file', name }))));
    expect((await uninstall()).exitCode).toBe(0);
    expect(await machine.tree()).toEqual(before);
  });
});

describe('what no resource of this version claims', () => {
  test.each([
    ['file', '/etc/rancher/k3s/config.yaml.d/60-extra.yaml'],
    ['file', '/etc/rancher/extra.yaml'],
    ['directory', '/var/lib/rancher/extra'],
    ['directory', '/usr/local/bin/pipeops-plugins'],
    ['link', '/usr/local/bin/pipeops'],
    ['file', '/etc/cron.d/pipeops'],
  ])('is removed: %s %s', async (kind, name) => {
    const before = await machine.tree();
    await install();
    if (kind === 'link') {
      await machine.files.link('pipeops-agent', name);
    } else {
      await machine.put(kind === 'directory' ? `${name}/file` : name, '');
    }
    await record([{ kind, name }]);
    const ran = await uninstall();
    const { removed, left } = JSON.parse(ran.stdout);
    expect({ exitCode: ran.exitCode, left }).toEqual({ exitCode: 0, left: [] });
    expect(removed).toContain(`Remove ${kind} ${name}`);
    const { '/etc/cron.d': _, ...after } = await machine.tree();
    expect(after).toEqual(before);
  });

  test('is removed below a directory of ours that was here before us', async () => {
    await machine.put('/etc/pipeops-agent/notes', 'of somebody');
    const before = await machine.tree();
    await install();
    await machine.put('/etc/pipeops-agent/extra.yaml', '');
    await record([{ kind: 'file', name: '/etc/pipeops-agent/extra.yaml' }]);
    expect((await uninstall()).exitCode).toBe(0);
    expect(await machine.tree()).toEqual(before);
  });

  test('needs no look below a directory that goes as a whole', async () => {
    const before = await machine.tree();
    await install();
    const below = [
      '/etc/pipeops-agent/extra.yaml',
      '/var/lib/pipeops-agent/extra',
      '/opt/pipeops-agent/extra',
      `${HOST_STATE}/extra`,
    ];
    await Promise.all(below.map((path) => machine.put(path, '')));
    await record(below.map((name) => ({ kind: 'file', name })));
    const ran = await uninstall();
    expect({ exitCode: ran.exitCode, left: JSON.parse(ran.stdout).left }).toEqual({
      exitCode: 0,
      left: [],
    });
    expect(ran.stdout).not.toContain('extra');
    expect(await machine.tree()).toEqual(before);
  });

  test('is removed when it is empty, where it is a directory of everybody', async () => {
    await machine.put('/usr/local/share/of-others', '');
    await machine.files.removeTree('/opt');
    await install();
    await record(
      ['/usr/local', '/opt', '/etc'].map((name) => ({ kind: 'directory', name })),
      'before',
    );
    await noteOriginals([]);
    expect((await uninstall()).exitCode).toBe(0);
    expect([
      await isThere('/usr/local/share/of-others'),
      await isThere('/etc/passwd'),
      await isThere('/opt'),
    ]).toEqual([true, true, false]);
  });

  test('is a unit that is stopped and removed', async () => {
    const before = await machine.tree();
    await install();
    await machine.put(UNIT, '[Unit]\n');
    machine.units.set('pipeops-tunnel.service', 'active');
    machine.enabled.add('pipeops-tunnel.service');
    await record([{ kind: 'unit', name: UNIT }]);
    const { plan } = JSON.parse((await uninstall('--dry-run')).stdout);
    expect(plan[0]).toEqual({
      title: `Stop and remove ${UNIT}`,
      changes: [
        { action: 'stop', target: 'pipeops-tunnel.service' },
        { action: 'remove', target: UNIT },
      ],
      commands: [
        ['systemctl', 'disable', '--quiet', '--now', 'pipeops-tunnel.service'],
        ['systemctl', 'daemon-reload'],
      ],
    });
    const ran = await uninstall();
    expect({ exitCode: ran.exitCode, left: JSON.parse(ran.stdout).left }).toEqual({
      exitCode: 0,
      left: [],
    });
    expect({ units: [...machine.units], enabled: [...machine.enabled] }).toEqual({
      units: [],
      enabled: [],
    });
    expect(machine.calls.map(({ argv }) => argv.join(' '))).toContain(
      'systemctl reset-failed pipeops-tunnel.service',
    );
    expect(await machine.tree()).toEqual(before);
  });

  test.each([
    ['user', 'pipeops-tunnel'],
    ['group', 'pipeops-tunnel'],
    ['k3s', 'etcd'],
    ['unit', 'pipeops-tunnel'],
    ['unit', '/usr/lib/systemd/system/pipeops-tunnel.service'],
    ['unit', '/etc/systemd/system/pipeops-agent.service.d/extra.conf'],
    ['file', 'relative/path'],
    ['file', '/etc/../etc/passwd'],
    ['directory', '/etc/'],
    ['directory', '/'],
  ])('is left and told where nobody here knows how to remove it: %s %s', async (kind, name) => {
    await install();
    const entry = { kind, name, more: 1 };
    await record([entry]);
    const ran = await uninstall();
    expect({ exitCode: ran.exitCode, left: JSON.parse(ran.stdout).left }).toEqual({
      exitCode: 0,
      left: [entry],
    });
    expect(await machine.json(INVENTORY)).toEqual({ v: 1, entries: [entry] });
    expect(await isThere('/etc/passwd')).toBeTrue();
    expect(errorOf(await uninstall())).toMatchObject({
      exitCode: 10,
      code: 'STATE_NEWER',
      message: `Only a newer pipeops-agent knows ${kind} ${name}`,
    });
  });

  test("is left in a daemon's directory that stays: root follows nothing there", async () => {
    await machine.files.makeDirectory('/var/lib/pipeops-agent', { mode: 0o700 });
    await install();
    const entry = { kind: 'file', name: '/var/lib/pipeops-agent/extra/file' };
    await machine.put(entry.name, '');
    await record([entry]);
    expect(JSON.parse((await uninstall()).stdout).left).toEqual([entry]);
    expect(await isThere(entry.name)).toBeTrue();
    expect(await machine.json(INVENTORY)).toEqual({ v: 1, entries: [entry] });
  });

  test('stays with what is kept, and in the inventory', async () => {
    await install();
    const ofK3s = ['/etc/rancher/extra.yaml', '/var/lib/rancher/extra'];
    const ofData = ['/var/lib/pipeops-agent/extra'];
    await Promise.all([...ofK3s, ...ofData].map((path) => machine.put(path, '')));
    const entries = [...ofK3s, ...ofData].map((name) => ({ kind: 'file', name }));
    const unit = { kind: 'unit', name: '/etc/systemd/system/k3s.service' };
    await record([...entries, unit]);
    expect((await uninstall('--keep-k3s', '--keep-data')).exitCode).toBe(0);
    expect(await Promise.all([...ofK3s, ...ofData].map(isThere))).toEqual([true, true, true]);
    expect(machine.units.get('k3s.service')).toBe('active');
    expect((await machine.json(INVENTORY))['entries']).toEqual(
      expect.arrayContaining([...entries, unit]),
    );
    expect((await uninstall()).exitCode).toBe(0);
    expect(await Promise.all([...ofK3s, ...ofData].map(isThere))).toEqual([false, false, false]);
    expect(await isThere(HOST_STATE)).toBeFalse();
  });
});

describe('a journal of steps that is too long to be read', () => {
  const huge = () => machine.put(STEPS, JSON.stringify({ noise: 'x'.repeat(HUGE_BYTES) }));

  test('is begun anew', async () => {
    await install();
    await huge();
    expect((await install('--log-level', 'debug')).exitCode).toBe(0);
    expect(await machine.json(STEPS)).toMatchObject({ 'agent-config': { state: 'done' } });
  });

  test('hides no failure, and nothing is taken back by mistake', async () => {
    await install();
    await huge();
    expect(errorOf(await undo())).toMatchObject({ exitCode: 4, code: 'CLUSTER_EXISTS' });
    agentIsNotReady(machine);
    await machine.files.remove(`${HOST_STATE}/applied`);
    expect(errorOf(await install())).toMatchObject({ code: 'POLICY_INVALID' });
    expect((await uninstall()).exitCode).toBe(0);
  });
});
