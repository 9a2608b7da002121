/**
 * A machine changes the version of its agent: to a good one, to ones that crash, hang or do not run at all, and
 * back; with its session, its identity and its commands.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { $, gzipSync } from 'bun';
import { buildPackages } from '../../scripts/release/packages.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import {
  installByOneLine,
  installEnvironment,
  openStand,
  type Stand,
  TOKEN_FILE,
} from './stand.ts';
import type { SteadyClientReport } from './steady-client.ts';
import {
  HOST_STATE,
  PROGRAM,
  runs,
  type VersionsRig,
  versionsRig,
} from './upgrade/versions-rig.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const CHANGE_TIMEOUT_MS = 240_000;
const SETTLE_TIMEOUT_MS = 60_000;
/** On a machine that does other things as well. */
const AWAY_MS_MAX = 10_000;
/** At 50 a second, on a machine that can do less while it restarts the agent. */
const ANSWERED_MIN = 100;
/** Of what was answered: where the host is busy Kubernetes itself is too slow for some. On a quiet one none is late. */
const LATE_SHARE_MAX = 0.05;
const OLD = '0.0.1';

const progress = reportProgress('upgrade');
let stand: Stand;
let machine: Machine;
let version: string;
let rig: VersionsRig;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('upgrade', { older: [OLD] });
  ({ version } = stand.releases.release);
  machine = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
  await stand.equip(machine);
  await installByOneLine(stand, machine, ['--token-file', TOKEN_FILE, '--cluster-name', 'up'], {
    env: { PIPEOPS_VERSION: OLD },
  });
  rig = versionsRig(stand, machine);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

/** Asks the agent all the time, from a unit of its own, whether it is ready: with its session and Kubernetes. */
async function watchReady(): Promise<void> {
  const ask = "curl -s -m 1 -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/ready";
  const script = `while :; do echo "$(date +%s%3N) $(${ask})" >>/run/ready.log; sleep 0.02; done`;
  await machine.exec(['systemd-run', '--quiet', '--unit=watch-ready', 'sh', '-c', script]);
}

/** @returns how long it was not, at most, in one piece */
async function longestAway(): Promise<number> {
  await machine.exec(['systemctl', 'stop', 'watch-ready.service']);
  const lines = (await machine.readFile('/run/ready.log')).trim().split('\n');
  let [longest, readyAt] = [0, Number(lines[0]?.split(' ')[0])];
  for (const line of lines) {
    const [at, status] = line.split(' ');
    longest = Math.max(longest, Number(at) - readyAt);
    readyAt = status === '200' ? Number(at) : readyAt;
  }
  return longest;
}

/** Between two requests of a client: 50 a second through a door and the session, 10 over TLS. */
const ASK_MS = 20;
const ASK_TLS_MS = 100;

/**
 * Asks Kubernetes all the time through both doors on loopback, and through the session.
 * @returns how to end it, and what was seen
 */
async function askSteadily(id: string) {
  const script = join(import.meta.dir, 'steady-client.ts');
  await machine.copyIn(script, '/root/steady-client.ts');
  const runtime = (await machine.exec(['readlink', '-f', '/usr/local/bin/pipeops-agent'])).stdout;
  const doors = {
    http: ['http://127.0.0.1:8080', ASK_MS],
    tls: ['https://127.0.0.1:8443', ASK_TLS_MS],
  };
  for (const [door, [origin, everyMs]] of Object.entries(doors)) {
    await machine.exec([
      ...['systemd-run', '--quiet', `--unit=steady-${door}`, '--setenv=BUN_BE_BUN=1'],
      ...[runtime.trim(), '/root/steady-client.ts', `${everyMs}`, `/run/steady-${door}.json`],
      ...[`${origin}/proxy/version`, '/run/pipeops-agent/local-token'],
    ]);
  }
  const output = join(await mkdtemp(join(tmpdir(), 'steady-')), 'session.json');
  const url = `${stand.adminUrl()}/admin/agents/${id}/proxy/version`;
  const session = Bun.spawn([process.execPath, script, `${ASK_MS}`, output, url]);
  return async () => {
    session.kill('SIGTERM');
    await session.exited;
    const seen: Record<string, SteadyClientReport> = {};
    for (const door of Object.keys(doors)) {
      await machine.exec(['systemctl', 'stop', `steady-${door}.service`]);
      seen[door] = JSON.parse(await machine.readFile(`/run/steady-${door}.json`));
    }
    seen['session'] = await Bun.file(output).json();
    await rm(dirname(output), { recursive: true });
    return seen;
  };
}

/** Nobody was refused, and nobody waited for ever. */
function expectAllAnswered(seen: Readonly<Record<string, SteadyClientReport>>): void {
  process.stderr.write(`    meanwhile asked: ${JSON.stringify(seen)}\n`);
  const well = {
    failures: {},
    answered: expect.any(Number),
    late: expect.any(Number),
    longestMs: expect.any(Number),
  };
  expect(seen).toEqual({ http: well, tls: well, session: well });
  for (const { answered, late } of Object.values(seen)) {
    expect(late).toBeLessThanOrEqual(answered * LATE_SHARE_MAX);
  }
  expect(seen['http']?.answered).toBeGreaterThan(ANSWERED_MIN);
  expect(seen['session']?.answered).toBeGreaterThan(ANSWERED_MIN);
}

test(
  'a machine changes its version by itself, to good ones and back from bad ones',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-upgrade'), async () => {
      await takeOverAndBack();
      await changeByCommand();
      await leaveWhatIsNotWell();
      await leaveWhatDoesNotFit();
      await refuseWhatIsNotSigned();
      await losePower();
      await loseWatcherAndControlPlane();
      await goOverToPackage();
    });
  },
  TEST_TIMEOUT_MS,
);

/** A newer version takes over with the same identity, and the one before comes back. */
async function takeOverAndBack(): Promise<void> {
  const { id } = await rig.running();
  expect((await rig.agent('upgrade', '--check')).document).toEqual({
    ...{ changed: false, from: OLD, version },
  });
  await watchReady();
  const stopAsking = await askSteadily(id);
  const upgraded = await progress.phase('upgrade', () => rig.agent('upgrade'));
  const awayMs = await longestAway();
  expectAllAnswered(await stopAsking());
  expect(upgraded.document).toEqual({
    ...{ changed: true, kind: 'upgrade', from: OLD, version },
    took_ms: expect.any(Number),
  });
  process.stderr.write(
    `    the upgrade took ${upgraded.document.took_ms} ms; not ready for ${awayMs} ms\n`,
  );
  expect(awayMs).toBeLessThan(AWAY_MS_MAX);
  expect(await rig.running()).toEqual(runs(version, id));
  await rig.nothingLeft();
  expect((await rig.agent('upgrade')).document).toEqual({ changed: false, from: version, version });
  const stopAgain = await askSteadily(id);
  const back = await progress.phase('rollback', () => rig.agent('rollback'));
  await progress.phase('restart', () => machine.exec(['systemctl', 'restart', 'pipeops-agent']));
  await waitUntil('it has its session', SETTLE_TIMEOUT_MS, async () => {
    return (await rig.running()).phase === 'connected';
  });
  expectAllAnswered(await stopAgain());
  expect(back.document).toMatchObject({ changed: true, kind: 'rollback', version: OLD });
  expect(await rig.running()).toEqual(runs(OLD, id));
  await rig.nothingLeft();
  expect((await rig.agent('upgrade', '--to', version)).exitCode).toBe(0);
  expect(await rig.running()).toEqual(runs(version, id));
}

/** The control plane has it changed: one result each, from whichever version runs afterwards. */
async function changeByCommand(): Promise<void> {
  const { id } = await rig.running();
  expect((await rig.agent('rollback', '--to', OLD)).exitCode).toBe(0);
  const command = async (wanted: string) => {
    const payload = { version: wanted, jitter_seconds: 0 };
    const commandId = await stand.command(id, 'upgrade_agent', payload);
    const { result, extra_results } = await stand.finished(id, commandId);
    return {
      success: result?.success,
      code: result?.error_code,
      data: result?.data,
      extra_results,
    };
  };
  expect(await progress.phase('upgrade by a command', () => command(version))).toEqual({
    ...{ success: true, code: undefined, extra_results: 0 },
    data: { changed: true, from: OLD, version, took_ms: expect.any(Number) },
  });
  expect(await rig.running()).toEqual(runs(version, id));
  await rig.nothingLeft();
  await rig.publishBad('9.0.0', 'exit 1');
  expect(await progress.phase('a bad one by a command', () => command('9.0.0'))).toEqual({
    ...{ success: false, code: 'UPGRADE_FAILED', extra_results: 0 },
    data: { changed: false, from: version, version, took_ms: expect.any(Number) },
  });
  expect(await rig.running()).toEqual(runs(version, id));
  expect(await command(OLD)).toMatchObject({ success: false, code: 'RELEASE_REFUSED' });
  await rig.nothingLeft();
}

/** On a machine that is busy nobody knows before the minute is over. */
const HANGS = /it neither answers nor works, and had 8 s for it|after 60 s it does not answer/;

/** A version that is not well is left again, and everything is as it was. */
async function leaveWhatIsNotWell(): Promise<void> {
  const before = await rig.running();
  const kinds = [
    ['9.0.1', 'exit 1', 'the agent crashes', /9\.0\.1 was not well here, and .* runs again/],
    ['9.0.2', 'exec sleep 600', 'it hangs', HANGS],
  ] as const;
  for (const [name, run, what, why] of kinds) {
    await rig.publishBad(name, run);
    const failed = await progress.phase(what, () => rig.agent('upgrade', '--to', name));
    expect({ exitCode: failed.exitCode, said: failed.stderr }).toEqual({
      exitCode: 7,
      said: expect.stringMatching(why),
    });
    expect(await rig.running()).toEqual(before);
    await rig.nothingLeft();
  }
  await rig.publish('9.0.3', 'exit 1');
  const refused = await progress.phase('it does not run at all', () =>
    rig.agent('upgrade', '--to', '9.0.3'),
  );
  expect(refused.stderr).toContain('9.0.3 does not pass its self-test');
  expect(await rig.running()).toEqual(before);
}

/** Has the store say that only readers of this number, or later ones, can use it. @returns what it said before */
async function setOldestReader(reader: number): Promise<number> {
  const program = (await machine.exec(['readlink', '-f', '/usr/local/bin/pipeops-agent'])).stdout;
  const script = `
    import { Database } from 'bun:sqlite';
    const store = new Database('/var/lib/pipeops-agent/agent.db');
    console.log(store.query('PRAGMA user_version').get().user_version);
    store.run('PRAGMA user_version = ${reader}');`;
  const { stdout } = await machine.exec(['env', 'BUN_BE_BUN=1', program.trim(), '-e', script]);
  return Number(stdout);
}

/** A version that cannot use the store, or finds no room, changes nothing. */
async function leaveWhatDoesNotFit(): Promise<void> {
  const before = await rig.running();
  await progress.phase('it cannot read the store', async () => {
    await rig.publishBad('9.0.5', 'exit 1');
    const reader = await setOldestReader(9_999);
    const refused = await rig.agent('upgrade', '--to', '9.0.5');
    expect(await setOldestReader(reader)).toBe(9_999);
    expect(refused.stderr).toContain('9.0.5 does not pass its self-test');
    expect(refused.stderr).toContain('was written by a newer pipeops-agent');
  });
  expect(await rig.running()).toEqual(before);
  const [place, kept] = ['/opt/pipeops-agent', '/root/versions'];
  await progress.phase('the disk is full', async () => {
    const shrink =
      `cp -a ${place} ${kept} && ` +
      `mount -t tmpfs -o size=$(( $(du -sk ${place} | cut -f 1) + 4096 ))k none ${place} && ` +
      `cp -a ${kept}/. ${place}`;
    await machine.exec(['sh', '-c', shrink]);
    await rig.publish('9.0.6', 'exit 0', 32 * 1024 * 1024);
    const refused = await rig.agent('upgrade', '--to', '9.0.6');
    await machine.exec(['sh', '-c', `umount ${place} && rm -r ${kept}`]);
    expect(refused.stderr).toContain('DISK_FULL');
  });
  expect(await rig.running()).toEqual(before);
  await rig.nothingLeft();
}

/** A version with a wrong signature, or another program, changes nothing. */
async function refuseWhatIsNotSigned(): Promise<void> {
  const before = await rig.running();
  await rig.publish('9.0.4', 'exit 0');
  stand.releases.put(`/9.0.4/${PROGRAM}.gz`, gzipSync(new TextEncoder().encode('other')));
  expect((await rig.agent('upgrade', '--to', '9.0.4')).stderr).toContain('DOWNLOAD_CORRUPT');
  stand.releases.put('/9.0.4/release.json', '{}');
  expect((await rig.agent('upgrade', '--to', '9.0.4')).stderr).toContain('RELEASE_UNTRUSTED');
  expect(await rig.running()).toEqual(before);
}

/** Cuts the power while a change is judged, and waits until the machine is well again. */
async function cutDuring(...words: readonly string[]): Promise<void> {
  // It ends with its machine.
  const changing = machine
    .exec(['pipeops-agent', ...words], { timeoutMs: CHANGE_TIMEOUT_MS, check: false })
    .catch(() => undefined);
  await waitUntil('it is judged', SETTLE_TIMEOUT_MS, async () => {
    const record = await machine.exec(['cat', `${HOST_STATE}/upgrade.json`], { check: false });
    return record.stdout.includes('"judge"');
  });
  await machine.kill();
  await changing;
  // With an agent that hangs at its start systemd is not through with the boot, however well all else is.
  await machine.start().catch(() => undefined);
  await rig.settled();
}

/** A machine that loses its power in between goes on by itself. */
async function losePower(): Promise<void> {
  const before = await rig.running();
  await rig.publishBad('9.0.7', 'exec sleep 600');
  await progress.phase('the power is cut on a bad version', () =>
    cutDuring('upgrade', '--to', '9.0.7'),
  );
  expect(await rig.running()).toEqual(before);
  await progress.phase('the power is cut on a good one', () => cutDuring('rollback', '--to', OLD));
  expect(await rig.running()).toEqual(runs(OLD, before.id));
}

/** A watcher that is killed goes on, and a control plane that is down is no fault of a version. */
async function loseWatcherAndControlPlane(): Promise<void> {
  const before = await rig.running();
  const changing = rig.agent('upgrade', '--to', version);
  await waitUntil('it is judged', SETTLE_TIMEOUT_MS, async () => {
    const record = await machine.exec(['cat', `${HOST_STATE}/upgrade.json`], { check: false });
    return record.stdout.includes('"judge"');
  });
  await machine.exec(['systemctl', 'kill', '--signal=KILL', 'pipeops-agent-upgrade.service']);
  const upgraded = await progress.phase('the watcher was killed', () => changing);
  expect(upgraded.document).toMatchObject({ changed: true, version });
  expect(await rig.running()).toEqual(runs(version, before.id));
  await rig.nothingLeft();

  await stand.stopControlPlane();
  await waitUntil('it has no session', SETTLE_TIMEOUT_MS, async () => {
    const { document } = await rig.agent('status');
    return document?.session.phase !== 'connected';
  });
  const back = await progress.phase('without a control plane', () => rig.agent('rollback'));
  expect(back.document).toMatchObject({ changed: true, version: OLD });
  stand.startControlPlane();
  await waitUntil('it has its session', SETTLE_TIMEOUT_MS, async () => {
    const { document } = await rig.agent('status');
    return document?.session.phase === 'connected';
  });
  expect(await rig.running()).toEqual(runs(OLD, before.id));
}

/** Makes debs of both versions and brings them to the machine. @returns where they are there */
async function bringPackages(): Promise<{ readonly old: string; readonly present: string }> {
  const scratch = await mkdtemp(join(tmpdir(), 'upgrade-packages-'));
  const [target, date] = [`linux-${process.arch}`, new Date()];
  try {
    const paths: string[] = [];
    for (const each of [OLD, version]) {
      const out = join(scratch, each);
      const program = join(scratch, `${each}.program`);
      const packed = join(stand.releases.release.directory, each, `${PROGRAM}.gz`);
      await $`gzip -dc ${packed} > ${program}`.quiet();
      await buildPackages({ program, version: each, target, date, isSmall: false }, out, ['deb']);
      const [name = ''] = await readdir(out);
      paths.push(`/root/${name}`);
      await machine.copyIn(join(out, name), `/root/${name}`);
    }
    const [old = '', present = ''] = paths;
    return { old, present };
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** The machine goes over to apt's package with its cluster and identity, and that is upgraded and removed by dpkg. */
async function goOverToPackage(): Promise<void> {
  const { id } = await rig.running();
  const packages = await progress.phase('packages are made', bringPackages);
  const dpkg = (...words: readonly string[]) =>
    machine.exec(['dpkg', ...words], { timeoutMs: CHANGE_TIMEOUT_MS, check: false });
  const beside = await dpkg('--install', packages.old);
  expect({ failed: beside.exitCode !== 0, said: beside.stderr }).toEqual({
    failed: true,
    said: expect.stringContaining("this machine's agent came by install.sh [INSTALLED_OTHERWISE]"),
  });

  const words = ['--yes', '--keep-k3s', '--keep-data'];
  expect((await rig.agent('uninstall', ...words)).exitCode).toBe(0);
  expect((await dpkg('--install', packages.old)).exitCode).toBe(0);
  const state = async (unit: string) =>
    (await machine.exec(['systemctl', 'is-active', unit], { check: false })).stdout.trim();
  expect(await state('pipeops-agent.service')).toBe('inactive');
  await progress.phase('install from the package', () =>
    machine.exec(
      ['pipeops-agent', 'install', '--token-file', TOKEN_FILE, '--cluster-name', 'packaged'],
      { timeoutMs: CHANGE_TIMEOUT_MS, env: installEnvironment(stand) },
    ),
  );
  const now = async () => {
    const { document } = await rig.agent('status');
    const { agent: self, session } = document;
    const link = (await machine.exec(['readlink', '/usr/bin/pipeops-agent'])).stdout.trim();
    return { version: self.version, id: self.id, phase: session.phase, link };
  };
  const runsFromPackage = (which: string) => ({
    ...runs(which, id),
    link: `/usr/libexec/pipeops-agent/${which}/pipeops-agent`,
  });
  expect(await now()).toEqual(runsFromPackage(OLD));

  for (const subcommand of ['upgrade', 'rollback']) {
    expect((await rig.agent(subcommand)).stderr).toContain("This machine's agent came by apt");
  }
  const again = await installByOneLine(stand, machine, [], { check: false });
  expect([again.exitCode, again.stderr]).toEqual([
    4,
    expect.stringContaining('sudo apt-get install --only-upgrade pipeops-agent'),
  ]);

  const settings = await machine.readFile('/etc/pipeops-agent/config.yaml');
  expect(settings).toContain('packaged');
  const upgraded = await progress.phase('dpkg upgrades it', () =>
    dpkg('--install', packages.present),
  );
  expect([upgraded.exitCode, upgraded.stdout]).toEqual([
    0,
    expect.stringContaining(`pipeops-agent ${version} runs now`),
  ]);
  expect(await now()).toEqual(runsFromPackage(version));
  expect(await machine.readFile('/etc/pipeops-agent/config.yaml')).toBe(settings);

  const removed = await dpkg('--remove', 'pipeops-agent');
  expect([removed.exitCode, removed.stderr]).toEqual([
    0,
    expect.stringContaining('install this package again and run that first'),
  ]);
  expect([await state('pipeops-agent.service'), await state('k3s.service')]).toEqual([
    'inactive',
    'active',
  ]);
  const purged = await dpkg('--purge', 'pipeops-agent');
  expect([purged.exitCode, purged.stderr]).toEqual([0, expect.stringContaining('k3s stays')]);
  const find = ['find', '/etc', '/run', '/opt', '/usr', '/var/lib', '-xdev', '-name', '*pipeops*'];
  const left = (await machine.exec(find)).stdout.split('\n').filter((path) => path !== '');
  // What k3s is set up with, which goes on.
  expect(left.filter((path) => !path.startsWith('/var/lib/rancher/')).sort()).toEqual([
    '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml',
    '/etc/rancher/k3s/pipeops-registry-ca.pem',
  ]);
  expect((await machine.exec(['id', 'pipeops-agent'], { check: false })).exitCode).not.toBe(0);
  expect(await state('k3s.service')).toBe('active');
}
