/** An agent that came as a package of the system: its program and its units are files of the package manager. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DEFAULT_PLACES, PACKAGED_PLACES } from '../../src/core/places.ts';
import { BUILD } from '../../src/core/version.ts';
import { unitTextsFor } from '../../src/host/agent/unit-texts.ts';
import { errorOf } from '../support/installation.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  CONTROL_PLANE,
  MIRROR,
  type RunOptions,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const EXECUTABLE = `${PACKAGED_PLACES.versionsDirectory}/${BUILD.version}/pipeops-agent`;
const SETTINGS = join(import.meta.dir, '../../scripts/package/config.yaml');
const INSTALL = ['install', '--api-url', CONTROL_PLANE, '--token-file', '/root/token'];
/** A minute of grace is a moment. */
const SPEED = 400;
const BY_APT = "This machine's agent came by apt";

let machine: SimulatedMachine;
afterEach(() => machine[Symbol.asyncDispose]());

/** What dpkg unpacks, and what it answers of it. */
async function unpack(): Promise<void> {
  for (const { path, text } of Object.values(unitTextsFor(PACKAGED_PLACES))) {
    await machine.put(path, text);
  }
  await machine.put(EXECUTABLE, 'the executable', 0o755);
  await machine.files.link(EXECUTABLE, PACKAGED_PLACES.executableLink);
  await machine.put(PACKAGED_PLACES.configFile, await Bun.file(SETTINGS).text());
  await machine.files.makeDirectory('/usr/local/bin', { mode: 0o755 });
  machine.programs.set('dpkg-query', ([, , path]) =>
    path === PACKAGED_PLACES.executableLink
      ? { stdout: `pipeops-agent: ${path}\n` }
      : { exitCode: 1, stderr: `dpkg-query: no path found matching pattern ${path}\n` },
  );
}

const packaged = (words: readonly string[], options: RunOptions = {}) =>
  machine.run(words, { execPath: EXECUTABLE, ...options });
const install = () => packaged([...INSTALL, '--k3s-mirror', MIRROR, '--json']);

describe('a machine with the package', () => {
  beforeEach(async () => {
    machine = await simulatedMachine(PACKAGED_PLACES);
    await unpack();
  });

  test('is set up with the program and the units of the package, and gets them all back', async () => {
    const before = await machine.tree();
    const installed = await install();
    expect([installed.exitCode, installed.stderr]).toEqual([0, expect.any(String)]);
    expect([
      machine.enabled.has('pipeops-agent.service'),
      machine.units.get('pipeops-agent.service'),
    ]).toEqual([true, 'active']);
    const during = await machine.tree();
    const { executableLink, unitFile, versionsDirectory } = DEFAULT_PLACES;
    const usual = [executableLink, versionsDirectory, unitFile].map((path) => path.slice(1));
    expect(
      Object.keys(during).filter((path) => usual.some((each) => path.startsWith(each))),
    ).toEqual([]);
    expect(await machine.files.readText(PACKAGED_PLACES.configFile)).toContain(CONTROL_PLANE);
    expect((await install()).exitCode).toBe(0);

    const { exitCode, stdout } = await packaged(['uninstall', '--yes', '--json']);
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { kept: [], left: [] }]);
    expect([
      machine.enabled.has('pipeops-agent.service'),
      machine.units.get('pipeops-agent.service'),
    ]).toEqual([false, undefined]);
    expect(await machine.tree()).toEqual(before);
  });

  test('says after uninstall how the package goes', async () => {
    await install();
    const { stderr } = await packaged(['uninstall', '--yes']);
    expect(stderr).toContain(
      'The package pipeops-agent stays. To remove it too: sudo apt-get purge pipeops-agent\n',
    );
  });

  test.each([
    [['upgrade'], 'sudo apt-get install --only-upgrade pipeops-agent'],
    [['upgrade', '--check'], 'sudo apt-get install --only-upgrade pipeops-agent'],
    [['rollback'], 'sudo apt-get install --allow-downgrades pipeops-agent=VERSION'],
  ])('is told the command of apt by %p', async (words, command) => {
    const told = errorOf(await packaged([...words, '--json']));
    expect(told).toMatchObject({ code: 'INSTALLED_OTHERWISE', message: BY_APT });
    expect(told.hint).toContain(command);
  });

  describe('whose package manager has placed another version', () => {
    const selfTest = { version: BUILD.version, store: 'good', config: null };
    const placed = (options: RunOptions = {}) =>
      packaged(['upgrade', 'after-package'], { clock: scaledClock(SPEED), ...options });
    const restarts = () => machine.calls.filter(({ argv }) => argv.includes('restart')).length;

    test('runs that one when it is well', async () => {
      await install();
      machine.programs.set('systemd-run', () => ({ stdout: JSON.stringify(selfTest) }));
      const before = restarts();
      expect(await placed()).toEqual({
        ...{ exitCode: 0, stderr: '' },
        stdout: `pipeops-agent ${BUILD.version} runs now\n`,
      });
      expect(restarts()).toBe(before + 1);
    });

    test('keeps the daemon of the version before when the new one fails its self-test', async () => {
      await install();
      machine.programs.set('systemd-run', () => ({ exitCode: 1, stderr: 'Illegal instruction' }));
      const before = restarts();
      const { exitCode, stderr } = await placed();
      expect([exitCode, restarts()]).toEqual([7, before]);
      expect(stderr).toContain('Illegal instruction. The version before goes on until it ends');
      expect(stderr).toContain('--allow-downgrades pipeops-agent=VERSION');
    });

    test('hears that the new one is not well, and how to go back', async () => {
      await install();
      machine.programs.set('systemd-run', () => ({ stdout: JSON.stringify(selfTest) }));
      machine.web.set('http://agent/api/health/detailed', () => {
        throw Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' });
      });
      const { exitCode, stderr } = await placed();
      expect([exitCode, stderr]).toEqual([
        7,
        expect.stringContaining(`${BUILD.version} is not well here: after 60 s it does not answer`),
      ]);
    });

    test('starts nothing that does not run', async () => {
      const { exitCode, stdout } = await placed();
      expect([exitCode, stdout, restarts()]).toEqual([
        ...[0, expect.stringContaining('The agent does not run: it was not started'), 0],
      ]);
    });
  });

  test('refuses another program than that of the package', async () => {
    const other = await simulatedMachine();
    await machine[Symbol.asyncDispose]();
    machine = other;
    await unpack();
    for (const words of [INSTALL, ['prepare-image', '--yes'], ['upgrade'], ['rollback']]) {
      expect(errorOf(await machine.run([...words, '--json']))).toMatchObject({
        code: 'INSTALLED_OTHERWISE',
        message: BY_APT,
      });
    }
  });
});

test('the package has every unit that is in systemd/', async () => {
  const names = await readdir(join(import.meta.dir, '../../systemd'));
  const texts = Object.values(unitTextsFor(PACKAGED_PLACES));
  expect(texts.map(({ path }) => basename(path)).sort()).toEqual(names.sort());
  for (const { text } of texts) {
    expect(text).not.toContain(DEFAULT_PLACES.executableLink);
  }
  machine = await simulatedMachine(PACKAGED_PLACES);
});

test('a package does not take the place of an agent that install.sh has placed', async () => {
  machine = await simulatedMachine(PACKAGED_PLACES);
  await unpack();
  const { executableLink, versionsDirectory } = DEFAULT_PLACES;
  await machine.put(`${versionsDirectory}/0.0.1/pipeops-agent`, '', 0o755);
  await machine.files.link(`${versionsDirectory}/0.0.1/pipeops-agent`, executableLink);
  expect(errorOf(await packaged([...INSTALL, '--json']))).toMatchObject({
    code: 'INSTALLED_OTHERWISE',
    message: "This machine's agent came by install.sh",
  });
});
