/**
 * The packages for apt and dnf, installed by the real dpkg and rpm into a small system whose systemctl only notes
 * what it is told. With the real systemd: test/e2e/upgrade.test.ts.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buildPackages } from '../../scripts/release/packages.ts';
import { DEFAULT_PLACES, PACKAGED_PLACES } from '../../src/core/places.ts';
import { unitTextsFor } from '../../src/host/agent/unit-texts.ts';
import { runCommand } from './host-command.ts';
import { installHostPackages } from './packages.ts';

const BUILD_TIMEOUT_MS = 600_000;
const [OLD, NEW] = ['0.9.0', '1.0.0-rc.1'];
/** As the package stops them: those that start others are found by their names. */
const UNITS = [
  'pipeops-agent.service',
  ...Object.values(unitTextsFor(PACKAGED_PLACES))
    .map(({ path }) => basename(path))
    .filter((name) => /\.(path|socket|timer)$/.test(name))
    .sort(),
].join(' ');
/** What the scripts of packages may use. */
const TOOLS = ['sh', 'cat', 'echo', 'grep', 'readlink', 'rm', 'rmdir'];
const NOTES = `#!/bin/sh
echo "\${0##*/} $*" >>/notes
[ "$1" != is-active ] || [ -e /active ]
`;
const DATE = new Date('2026-01-02T03:04:05Z');
const SNAPSHOTS = '/var/lib/pipeops-agent-snapshots';

let scratch: string;

beforeAll(async () => {
  await installHostPackages();
  scratch = await mkdtemp(join(tmpdir(), 'native-packages-'));
  await writeFile(join(scratch, 'program'), NOTES);
  for (const [directory, version] of [
    ['old', OLD],
    ['new', NEW],
    ['again', NEW],
  ] as const) {
    await build(directory, version, 'linux-x64');
  }
}, BUILD_TIMEOUT_MS);

afterAll(async () => await rm(scratch, { recursive: true }));

async function build(directory: string, version: string, target: string): Promise<void> {
  // Copied each time: when a file was written must not show.
  const program = join(scratch, `program-${directory}`);
  await cp(join(scratch, 'program'), program);
  const packaged = { program, version, target, date: DATE, isSmall: false };
  await buildPackages(packaged, join(scratch, directory));
}

async function packageIn(directory: string, extension: 'deb' | 'rpm'): Promise<string> {
  const names = await readdir(join(scratch, directory));
  return join(scratch, directory, names.find((name) => name.endsWith(extension)) ?? '');
}

/** The directory of a system with a shell, and with what systemd and our program would be told. */
async function smallSystem(name: string): Promise<string> {
  const root = join(scratch, name);
  for (const directory of ['bin', 'usr/bin', 'usr/local/bin', 'run/systemd/system', 'dev', 'tmp']) {
    await mkdir(join(root, directory), { recursive: true });
  }
  await cp('/bin/busybox', join(root, 'bin/busybox'));
  for (const tool of TOOLS) {
    await symlink('/bin/busybox', join(root, 'bin', tool));
  }
  await mkdir(join(root, 'var/lib/dpkg/updates'), { recursive: true });
  await mkdir(join(root, 'var/lib/dpkg/info'), { recursive: true });
  await writeFile(join(root, 'var/lib/dpkg/status'), '');
  for (const tool of ['systemctl', 'userdel', 'groupdel']) {
    await writeFile(join(root, 'bin', tool), NOTES);
    await chmod(join(root, 'bin', tool), 0o755);
  }
  return root;
}

/** The package managers, and what is in the system afterwards. */
function managerOf(root: string) {
  const run = async (argv: readonly [string, ...string[]]) => {
    await rm(join(root, 'notes'), { force: true });
    const { exitCode, stdout, stderr } = await runCommand(argv, { check: false });
    const notes = await readFile(join(root, 'notes'), 'utf8').catch(() => '');
    return { exitCode, told: `${stdout}${stderr}`, notes: notes.trimEnd().split('\n') };
  };
  const put = async (path: string, text: string) => {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  };
  return {
    put,
    dpkg: (...words: readonly string[]) =>
      run(['dpkg', `--root=${root}`, '--force-depends', ...words]),
    rpm: (...words: readonly string[]) => run(['rpm', `--root=${root}`, ...words]),
    list: async (path: string) => (await readdir(join(root, path)).catch(() => [])).sort(),
    text: (path: string) => readFile(join(root, path), 'utf8').catch(() => undefined),
  };
}

/** As `pipeops-agent install` leaves the system. */
async function setUp({ put }: ReturnType<typeof managerOf>): Promise<void> {
  await put('/active', '');
  await put('/etc/pipeops-agent/config.yaml', 'cluster: { name: mine }\n');
  await put('/etc/pipeops-agent/policy.yaml', 'v: 1\n');
  await put('/var/lib/pipeops-agent-host/inventory.json', '{"entries":[{ "kind": "user" }]}\n');
  await put('/var/lib/pipeops-agent/agent.db', '');
  await put(`${SNAPSHOTS}/key`, 'key');
  await put('/usr/local/bin/k3s', '');
}

test(
  'the same program gives the same packages, for both processors',
  async () => {
    await build('arm', NEW, 'linux-arm64');
    const names = (await readdir(join(scratch, 'new'))).sort();
    expect(names).toEqual([
      'pipeops-agent-1.0.0~rc.1-1.x86_64.rpm',
      'pipeops-agent_1.0.0~rc.1_amd64.deb',
    ]);
    for (const name of names) {
      const [one, other] = ['new', 'again'].map((each) =>
        Bun.file(join(scratch, each, name)).bytes(),
      );
      expect(Buffer.from((await one) ?? []).equals(Buffer.from((await other) ?? []))).toBe(true);
    }
    expect((await readdir(join(scratch, 'arm'))).sort()).toEqual([
      'pipeops-agent-1.0.0~rc.1-1.aarch64.rpm',
      'pipeops-agent_1.0.0~rc.1_arm64.deb',
    ]);
  },
  BUILD_TIMEOUT_MS,
);

test(
  'a release has them among its signed files, with the program that it has by itself',
  async () => {
    const [keys, out] = [join(scratch, 'keys'), join(scratch, 'release')];
    const release = (...words: readonly string[]) =>
      runCommand([process.execPath, 'scripts/release.ts', ...words], {
        ...{ cwd: join(import.meta.dir, '../..'), timeoutMs: BUILD_TIMEOUT_MS },
      });
    const target = `linux-${process.arch}`;
    await release('keys', '--test', '--out', keys);
    const how = ['--quick', '--target', target, '--release-keys', join(keys, 'keys.json')];
    await release('prepare', '--test', ...how, '--version', OLD, '--out', out);
    await release('sign', '--test', '--keys', keys, '--out', out);
    await release('verify', '--test', '--keys', keys, '--dir', out);
    const { programs, files } = await Bun.file(join(out, OLD, 'release.json')).json();
    const packages = files
      .map(({ name }: { name: string }) => name)
      .filter((name: string) => /\.(deb|rpm)$/.test(name));
    expect(packages).toHaveLength(2);
    const unpacked = join(scratch, 'unpacked');
    const deb = join(
      out,
      OLD,
      packages.find((name: string) => name.endsWith('.deb')),
    );
    await runCommand(['dpkg-deb', '--extract', deb, unpacked]);
    const program = join(unpacked, PACKAGED_PLACES.versionsDirectory, OLD, 'pipeops-agent');
    const sha256 = new Bun.CryptoHasher('sha256').update(await readFile(program)).digest('hex');
    expect(sha256).toBe(programs[0].sha256);
  },
  BUILD_TIMEOUT_MS,
);

test('both have the same files, and the settings are a file of the administrator', async () => {
  const [deb, rpm] = [await packageIn('new', 'deb'), await packageIn('new', 'rpm')];
  const lines = async (argv: readonly [string, ...string[]]) =>
    (await runCommand(argv)).stdout.split('\n').filter((line) => line !== '');
  const versions = PACKAGED_PLACES.versionsDirectory;
  const expected = [
    ...Object.values(unitTextsFor(PACKAGED_PLACES)).map(({ path }) => path),
    `${versions}/${NEW}/pipeops-agent`,
    PACKAGED_PLACES.executableLink,
    PACKAGED_PLACES.configFile,
    '/usr/lib/systemd/system-preset/90-pipeops-agent.preset',
    '/usr/share/doc/pipeops-agent/copyright',
  ].sort();
  const inDeb = (await lines(['dpkg-deb', '--contents', deb]))
    .filter((line) => !line.startsWith('d'))
    .map((line) => line.split(/\s+/)[5]?.slice(1))
    .sort();
  expect(inDeb).toEqual(expected);
  const own = [versions, `${versions}/${NEW}`];
  expect((await lines(['rpm', '-qpl', rpm])).sort()).toEqual([...expected, ...own].sort());
  const settings = [PACKAGED_PLACES.configFile];
  expect(await lines(['dpkg-deb', '--info', deb, 'conffiles'])).toEqual(settings);
  expect(await lines(['rpm', '-qp', '--configfiles', rpm])).toEqual(settings);
  // Names and owners are of no machine that builds.
  const query = '%{BUILDHOST} %{VERSION} %{BUILDTIME} [%{FILEUSERNAME} ]\n';
  const [about = ''] = await lines(['rpm', '-qp', '--queryformat', query, rpm]);
  expect([...new Set(about.trim().split(' '))]).toEqual([
    'localhost',
    '1.0.0~rc.1',
    '1767323045',
    'root',
  ]);
});

test('dpkg starts nothing, keeps changed settings, lets the agent take over, and purges', async () => {
  const system = managerOf(await smallSystem('debian'));
  const first = await system.dpkg('--install', await packageIn('old', 'deb'));
  expect(first).toEqual({
    ...{ exitCode: 0, told: expect.stringContaining('to set this machine up: sudo pipeops-agent') },
    notes: ['systemctl daemon-reload', 'systemctl is-active --quiet pipeops-agent.service'],
  });
  await setUp(system);
  expect(await system.dpkg('--install', await packageIn('new', 'deb'))).toMatchObject({
    exitCode: 0,
    notes: [
      ...['systemctl daemon-reload', 'systemctl is-active --quiet pipeops-agent.service'],
      'pipeops-agent upgrade after-package',
    ],
  });
  expect(await system.list(PACKAGED_PLACES.versionsDirectory)).toEqual([NEW]);
  expect(await system.text(PACKAGED_PLACES.configFile)).toBe('cluster: { name: mine }\n');

  const removed = await system.dpkg('--remove', 'pipeops-agent');
  expect(removed).toMatchObject({
    exitCode: 0,
    notes: [
      `systemctl disable --quiet --now ${UNITS}`,
      'systemctl stop pipeops-agent-*',
      'systemctl daemon-reload',
    ],
  });
  expect(removed.told).toContain('install this package again and run that first');
  expect(await system.list('/usr/libexec')).toEqual([]);
  expect(await system.list('/etc/pipeops-agent')).toEqual(['config.yaml', 'policy.yaml']);

  const purged = await system.dpkg('--purge', 'pipeops-agent');
  expect(purged).toMatchObject({
    exitCode: 0,
    notes: ['systemctl daemon-reload', 'userdel pipeops-agent', 'groupdel pipeops-agent'],
  });
  expect(purged.told).toContain('k3s stays');
  expect([
    await system.list('/etc'),
    await system.list('/var/lib'),
    await system.list(SNAPSHOTS),
  ]).toEqual([[], ['dpkg', 'pipeops-agent-snapshots'], ['key']]);
  expect(await system.text('/usr/local/bin/k3s')).toBe('');
});

test('rpm starts nothing, keeps changed settings, lets the agent take over, and removes', async () => {
  const system = managerOf(await smallSystem('fedora'));
  const first = await system.rpm('--install', '--nodeps', await packageIn('old', 'rpm'));
  expect(first).toEqual({
    ...{ exitCode: 0, told: expect.stringContaining('to set this machine up: sudo pipeops-agent') },
    notes: ['systemctl daemon-reload', 'systemctl is-active --quiet pipeops-agent.service'],
  });
  expect((await system.rpm('--verify', '--nodeps', 'pipeops-agent')).told).toBe('');
  await setUp(system);
  expect(await system.rpm('--upgrade', '--nodeps', await packageIn('new', 'rpm'))).toMatchObject({
    exitCode: 0,
    notes: [
      ...['systemctl daemon-reload', 'systemctl is-active --quiet pipeops-agent.service'],
      'pipeops-agent upgrade after-package',
    ],
  });
  expect(await system.list(PACKAGED_PLACES.versionsDirectory)).toEqual([NEW]);
  expect(await system.text(PACKAGED_PLACES.configFile)).toBe('cluster: { name: mine }\n');

  const removed = await system.rpm('--erase', 'pipeops-agent');
  expect(removed).toMatchObject({
    exitCode: 0,
    notes: [
      `systemctl disable --quiet --now ${UNITS}`,
      'systemctl stop pipeops-agent-*',
      'systemctl daemon-reload',
    ],
  });
  expect(removed.told).toContain('install this package again and run that first');
  expect(await system.list('/usr/libexec')).toEqual([]);
  expect(await system.list('/etc/pipeops-agent')).toEqual(['config.yaml.rpmsave', 'policy.yaml']);
});

test('neither takes the place of an agent that install.sh has placed', async () => {
  const root = await smallSystem('script');
  const system = managerOf(root);
  const program = `${DEFAULT_PLACES.versionsDirectory}/${OLD}/pipeops-agent`;
  await symlink(program, join(root, DEFAULT_PLACES.executableLink));
  for (const found of [
    await system.dpkg('--install', await packageIn('new', 'deb')),
    await system.rpm('--install', '--nodeps', await packageIn('new', 'rpm')),
  ]) {
    expect({ failed: found.exitCode !== 0, told: found.told }).toEqual({
      failed: true,
      told: expect.stringContaining(
        "this machine's agent came by install.sh [INSTALLED_OTHERWISE]",
      ),
    });
  }
  expect(await system.list('/usr/libexec')).toEqual([]);
});
