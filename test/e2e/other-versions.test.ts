/**
 * The release before this one over what this one writes, and the other way: installations, the running
 * daemon, what is shown, and the removal. One machine, set up twice.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Machine } from '../vm/machine.ts';
import type { MachineState } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { previousRelease } from '../vm/previous-release.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { expectAsBefore } from './as-before.ts';

import { bringProgram, installEnvironment, openStand, type Stand, TOKEN_FILE } from './stand.ts';
import { testRelease } from './test-release.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const RUN_TIMEOUT_MS = 300_000;
const ALL_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 90_000;
const OLD = '/root/old-agent';
const NEW = '/root/new-agent';
type Program = typeof OLD | typeof NEW;
const UNIT = 'pipeops-agent.service';
const STORE = '/var/lib/pipeops-agent/agent.db';
const CONFIG = '/etc/pipeops-agent/config.yaml';
const JOIN_TOKEN_FILE = '/root/join-token';

const progress = reportProgress('other-versions');
let stand: Stand;
let machine: Machine;
let versions: Readonly<Record<Program, string>>;

beforeAll(async () => {
  await prepareTestMachines(progress);
  const old = await progress.phase('the release before this one', previousRelease);
  versions = { [OLD]: old.version, [NEW]: (await testRelease()).version };
  stand = await openStand('other-versions');
  machine = await stand.lab.boot({ name: 'versions', base: 'kubernetes' });
  await stand.equip(machine);
  await machine.copyIn(old.executable, OLD, { mode: 0o755 });
  await bringProgram(machine, NEW);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), RUN_TIMEOUT_MS);

/** Runs one of the two as root: its document, and its exit code. */
async function run(program: Program, ...args: readonly string[]) {
  // It becomes a setting, and the release before this one refuses settings that it does not know.
  const { PIPEOPS_BASE_URL: _, ...env } = installEnvironment(stand);
  const { exitCode, stdout } = await machine.exec([program, ...args, '--json'], {
    env,
    timeoutMs: RUN_TIMEOUT_MS,
    check: false,
  });
  return { exitCode, ...JSON.parse(stdout) };
}

/** Installs over whatever is there. @returns the agent as the program itself shows it */
async function install(program: Program, ...flags: readonly string[]) {
  const words = ['install', '--token-file', TOKEN_FILE, '--cluster-name', 'e2e', ...flags];
  expect(await run(program, ...words)).toMatchObject({ exitCode: 0, version: versions[program] });
  return await shown(program, program);
}

/** What a program shows of the daemon of a version, which must be ready. */
async function shown(program: Program, daemon: Program): Promise<string> {
  const status = await run(program, 'status');
  expect(status).toMatchObject({
    ...{ exitCode: 0, ready: true, reasons: [] },
    agent: { version: versions[daemon], role: 'server', cluster_name: 'e2e' },
    session: { phase: 'connected' },
  });
  return status.agent.id;
}

/** Everything else that a program reads of what the other has written. */
async function understands(program: Program): Promise<void> {
  const { settings } = await run(program, 'config', 'show');
  const level = settings.find((each: { setting: string }) => each.setting === 'log.level');
  expect(level).toMatchObject({ source: 'file', value: 'debug', in_force: true });
  expect(await run(program, 'cluster-info')).toMatchObject({
    exitCode: 0,
    nodes: [{ name: 'versions', ready: true }],
  });
  expect(await run(program, 'policy', 'show')).toMatchObject({ exitCode: 0, preset: 'standard' });
  expect(await run(program, 'token', 'list')).toMatchObject({ exitCode: 0 });
  await machine.exec([program, 'config', 'validate']);
  const { stdout } = await machine.exec([program, 'kubeconfig', '--local']);
  expect(JSON.parse(stdout)).toMatchObject({ 'current-context': 'pipeops-agent' });
}

/** What one program says of a join token of the other, on this machine. */
async function triesToken(maker: Program, reader: Program): Promise<unknown> {
  const { token } = await run(maker, 'token', 'create', '--ttl', '10m');
  await machine.writeFile(JOIN_TOKEN_FILE, `${token}\n`, { mode: 0o600 });
  const { exitCode, error } = await run(
    reader,
    'join',
    '--token-file',
    JOIN_TOKEN_FILE,
    '--dry-run',
  );
  await machine.exec(['rm', JOIN_TOKEN_FILE]);
  return [exitCode, error.code];
}

/** The journal takes a command in and gives its result out. */
async function answers(agentId: string): Promise<void> {
  const id = await stand.command(agentId, 'get_resources', {});
  expect((await stand.finished(agentId, id)).result).toMatchObject({ success: true });
}

async function uninstallLeavesNothing(program: Program, before: MachineState): Promise<void> {
  expect(await run(program, 'uninstall', '--yes')).toMatchObject({ exitCode: 0 });
  await expectAsBefore(machine, before);
}

/** Writes what a store needs of its readers: PRAGMA user_version (sqlite.org, "Database File Format"). */
async function setOldestReader(reader: number): Promise<void> {
  await machine.exec(['systemctl', 'stop', UNIT]);
  const bytes = `\\0\\0\\0\\${reader.toString(8)}`;
  const write = `printf '${bytes}' | dd of=${STORE} bs=1 seek=60 conv=notrunc status=none`;
  await machine.exec(['sh', '-c', write]);
}

async function storeThatNeedsMoreStays(agentId: string): Promise<void> {
  await setOldestReader(99);
  const { stdout: before } = await machine.exec(['sha256sum', STORE]);
  const failed = await run(NEW, 'install');
  expect(failed).toMatchObject({ exitCode: 10, error: { code: 'STATE_NEWER' } });
  expect(failed.error.hint).toStartWith('Install the newer version again');
  expect((await machine.exec(['sha256sum', STORE])).stdout).toBe(before);
  const { stdout: beside } = await machine.exec(['sh', '-c', `ls -d ${STORE}*`]);
  expect(beside.trim()).toBe(STORE);
  // It is final: systemd does not try again and again.
  const { stdout: state } = await machine.exec(['systemctl', 'show', UNIT, '-P', 'ActiveState']);
  expect(state.trim()).toBe('failed');
  await setOldestReader(2);
  expect(await install(NEW)).toBe(agentId);
}

async function unknownSettingIsAWarning(agentId: string): Promise<void> {
  const { stdout: text } = await machine.exec(['cat', CONFIG]);
  await machine.exec(['sh', '-c', `printf 'telemetry: {rate: 1}\n' >> ${CONFIG}`]);
  await machine.exec(['systemctl', 'restart', UNIT]);
  await waitUntil('it is ready again', SETTLE_TIMEOUT_MS, async () => {
    return (await run(NEW, 'status')).ready === true;
  });
  const { agent, warnings } = await run(NEW, 'status');
  const line = text.split('\n').length;
  const message = `${CONFIG}, line ${line}: telemetry: is not a setting and is ignored`;
  expect([agent.id, warnings]).toMatchObject([agentId, [{ code: 'SETTING_UNKNOWN', message }]]);
  const { stdout: log } = await machine.exec([
    'journalctl',
    '-u',
    UNIT,
    '-n',
    '50',
    '--output=cat',
  ]);
  expect(log).toContain('a key of the configuration is not known');
  // What sets something else leaves it there; the old release is not to find it.
  await install(NEW, '--log-level', 'info');
  expect((await machine.exec(['cat', CONFIG])).stdout).toContain('telemetry:');
  await machine.exec(['sed', '-i', '/^telemetry:/,$d', CONFIG]);
  expect(await install(NEW, '--log-level', 'debug')).toBe(agentId);
}

const title = (program: Program) => (program === OLD ? 'the old release' : 'this one');

test(
  'an upgrade, the way back and a removal by the other version lose nothing',
  async () => {
    const before = await machine.snapshotState();
    const agentId = await progress.phase('install the old release', () =>
      install(OLD, '--log-level', 'debug'),
    );
    await progress.phase('this one beside the old daemon', async () => {
      expect(await shown(NEW, OLD)).toBe(agentId);
      await understands(NEW);
      // It is read: what counts is that this machine is a server.
      expect(await triesToken(OLD, NEW)).toEqual([4, 'CLUSTER_EXISTS']);
    });
    for (const program of [NEW, OLD, NEW] as const) {
      await progress.phase(`${title(program)} over the other`, async () => {
        expect(await install(program)).toBe(agentId);
        await answers(agentId);
      });
    }
    await progress.phase('a store that needs a newer release stays as it is', () =>
      storeThatNeedsMoreStays(agentId),
    );
    await progress.phase('a setting of a newer release is a warning', () =>
      unknownSettingIsAWarning(agentId),
    );
    await progress.phase('the old release beside the new daemon', async () => {
      expect(await shown(OLD, NEW)).toBe(agentId);
      await understands(OLD);
      // It refuses tokens with a field that it does not know. The line on a server brings its own version.
      expect(await triesToken(NEW, OLD)).toEqual([2, 'JOIN_TOKEN_INVALID']);
    });
    await progress.phase('the old release removes this one', () =>
      uninstallLeavesNothing(OLD, before),
    );
    await progress.phase('install the old release again', () => install(OLD));
    await progress.phase('this one removes the old release', () =>
      uninstallLeavesNothing(NEW, before),
    );
  },
  ALL_TIMEOUT_MS,
);
