/** `upgrade`, `rollback`, and the unit that judges, on a machine that is played. On a real one: test/e2e. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { gzipSync } from 'bun';
import { DEFAULT_BASE_URL } from '../../../src/core/places.ts';
import { BUILD } from '../../../src/core/version.ts';
import { signatureSources } from '../../../src/host/bundle/signature.ts';
import { writeBundle } from '../../../src/host/bundle/write.ts';
import { writeSignedRelease } from '../../../src/host/release/signed-files.ts';
import type { SignedRelease } from '../../../src/protocol/files/release.ts';
import { errorOf, setUp } from '../../support/installation.ts';
import { nextKill, SWEEP_TIMEOUT_MS } from '../../support/sampled.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import {
  CONTROL_PLANE,
  type Ran,
  type SimulatedMachine,
  simulatedMachine,
} from '../../support/simulated-machine.ts';
import { listed, signedRelease, type TestKeys, testKeys } from '../../support/test-release.ts';
import { until } from '../../support/until.ts';

const OLD = BUILD.version;
const NEW = '9.9.9';
const VERSIONS = '/opt/pipeops-agent';
const HOST_STATE = '/var/lib/pipeops-agent-host';
const RECORD = `${HOST_STATE}/upgrade.json`;
const RESULT = `${HOST_STATE}/upgrade-result.json`;
const UNIT = '/etc/systemd/system/pipeops-agent-upgrade.service';
const WATCHER = 'pipeops-agent-upgrade.service';
const LINK = '/usr/local/bin/pipeops-agent';
const PROGRAM = 'the new program';
/** A minute of grace is a moment. */
const SPEED = 400;
/** More than a change of the version makes. */
const CHANGES_MAX = 200;
const DAY_MS = 86_400_000;

const programOf = (version: string) => `${VERSIONS}/${version}/pipeops-agent`;

let keys: TestKeys;
let machine: SimulatedMachine;
/** By version: what its daemon does. `away` is without a session. */
let daemons: Map<string, 'well' | 'silent' | 'away'>;
/** What the self-test of a version says. */
let selfTests: Map<string, object | string>;
let watching: Promise<Ran> | undefined;

beforeAll(async () => {
  keys = await testKeys(new Date());
});
afterAll(async () => await keys[Symbol.asyncDispose]());

beforeEach(async () => {
  machine = await simulatedMachine();
  daemons = new Map([
    [OLD, 'well'],
    [NEW, 'well'],
  ]);
  selfTests = new Map();
  watching = undefined;
  expect((await setUp(machine, 'install')).exitCode).toBe(0);
  machine.web.set('http://agent/api/health/detailed', async () => {
    const version = await linked();
    const state = daemons.get(version) ?? 'silent';
    const health = await machine.health();
    if (state === 'silent') {
      throw Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' });
    }
    const phase = state === 'away' ? 'unreachable' : health.session.phase;
    return Response.json({
      ...health,
      agent: { ...health.agent, version },
      session: { ...health.session, phase },
    });
  });
  for (const version of [OLD, NEW]) {
    machine.programs.set(programOf(version), () => ({}));
  }
  machine.programs.set('systemd-run', (argv) => {
    const program = argv.find((word) => word.startsWith(VERSIONS)) ?? OLD;
    const version = program.split('/')[3] ?? OLD;
    const good = { version, store: 'good', config: null };
    const told = selfTests.get(version) ?? good;
    return typeof told === 'string'
      ? { exitCode: 1, stderr: told }
      : { stdout: JSON.stringify(told) };
  });
  machine.programs.set('systemctl', (argv) => {
    if (argv[1] === 'start' && argv.at(-1) === WATCHER) {
      watching ??= watch();
    }
    return undefined as never; // And what systemctl does as ever.
  });
});
afterEach(async () => {
  await watching;
  await machine[Symbol.asyncDispose]();
});

const linked = async () => (await machine.files.readLink(LINK))?.split('/')[3] ?? '';
const watch = () => machine.run(['upgrade', 'watch'], { clock: scaledClock(SPEED) });

/** Serves a signed release as the newest, and by its version. */
async function publish(
  version = NEW,
  content: Readonly<Record<string, unknown>> = {},
): Promise<SignedRelease> {
  const packed = gzipSync(new TextEncoder().encode(PROGRAM));
  const time = (days: number) =>
    new Date(Date.now() + days * DAY_MS).toISOString().replace(/\.\d+Z/, 'Z');
  const name = 'pipeops-agent-linux-x64';
  const signed = await signedRelease(keys, {
    ...{ version, channel: 'stable', released: time(-1), expires: time(10) },
    ...{ min_version: '0.0.0-a', programs: [listed(name, PROGRAM)] },
    ...{ files: [listed(`${name}.gz`, packed)], ...content },
  });
  const texts: Readonly<Record<string, keyof SignedRelease>> = {
    ...{ 'stable.json': 'manifest', 'stable.json.sig': 'manifestSignature' },
    ...{ 'stable.key.json': 'key', 'stable.key.json.sig': 'keySignature' },
    ...{ [`${version}/release.json`]: 'manifest' },
    ...{ [`${version}/release.json.sig`]: 'manifestSignature' },
    ...{
      [`${version}/release-key.json`]: 'key',
      [`${version}/release-key.json.sig`]: 'keySignature',
    },
  };
  for (const [path, part] of Object.entries(texts)) {
    machine.web.set(`${DEFAULT_BASE_URL}/${path}`, () => new Response(signed[part]));
  }
  machine.web.set(`${DEFAULT_BASE_URL}/${version}/${name}.gz`, () => new Response(packed));
  return signed;
}

const agent = (...words: readonly string[]) =>
  machine.run([...words, '--json'], { releaseKeys: keys.keys, clock: scaledClock(SPEED) });

/** The version runs, and nothing of the change is left. */
async function expectRuns(version: string): Promise<void> {
  await watching;
  expect({
    version: await linked(),
    left: [await machine.files.stat(RECORD), await machine.files.stat(UNIT)],
    isEnabled: machine.enabled.has(WATCHER),
  }).toEqual({ version, left: [undefined, undefined], isEnabled: false });
}

describe('upgrade', () => {
  test('fetches the newest, checks it, tries it, switches to it; rollback goes back', async () => {
    await publish();
    expect(JSON.parse((await agent('upgrade', '--check')).stdout)).toEqual({
      ...{ changed: false, from: OLD, version: NEW },
    });
    const upgraded = await agent('upgrade');
    expect({ ...upgraded, stdout: JSON.parse(upgraded.stdout) }).toMatchObject({
      exitCode: 0,
      stdout: { changed: true, kind: 'upgrade', from: OLD, version: NEW },
    });
    await expectRuns(NEW);
    expect(await machine.files.readText(programOf(NEW))).toBe(PROGRAM);
    expect(await machine.files.list(`${VERSIONS}/${NEW}`)).toEqual([
      ...['pipeops-agent', 'release-key.json', 'release-key.json.sig'],
      ...['release.json', 'release.json.sig'],
    ]);
    const again = await agent('upgrade');
    expect(JSON.parse(again.stdout)).toEqual({ changed: false, from: NEW, version: NEW });
    watching = undefined;
    const back = await agent('rollback');
    expect(JSON.parse(back.stdout)).toMatchObject({ kind: 'rollback', from: NEW, version: OLD });
    await expectRuns(OLD);
  });

  test.each([
    [
      'a release of others',
      'RELEASE_UNTRUSTED',
      async () => {
        await using others = await testKeys(new Date());
        keys = { ...keys, keys: others.keys };
        await publish();
      },
    ],
    ['an older one as the newest', 'RELEASE_REFUSED', () => publish('0.0.0-a')],
    [
      'another program than the signed one',
      'DOWNLOAD_CORRUPT',
      async () => {
        await publish();
        const packed = gzipSync(new TextEncoder().encode('another'));
        const address = `${DEFAULT_BASE_URL}/${NEW}/pipeops-agent-linux-x64.gz`;
        machine.web.set(address, () => new Response(packed));
      },
    ],
    [
      'one that unpacks to something else',
      'RELEASE_UNTRUSTED',
      () => publish(NEW, { programs: [listed('pipeops-agent-linux-x64', 'the old program')] }),
    ],
    [
      'one that cannot follow this one',
      'RELEASE_REFUSED',
      () => publish(NEW, { min_version: '9.0.0' }),
    ],
  ])('changes nothing for %s', async (_, code, given) => {
    const ours = keys;
    await given();
    const ran = await agent('upgrade');
    keys = ours;
    expect(errorOf(ran)).toMatchObject({ code });
    await expectRuns(OLD);
    expect(await machine.files.stat(programOf(NEW))).toBeUndefined();
  });

  test.each([
    ['does not run', 'Illegal instruction', 'does not pass its self-test: Illegal instruction'],
    ['is another one', { version: '1.0.0', store: 'good', config: null }, 'is 1.0.0'],
    [
      'does not understand the settings',
      { version: NEW, store: 'good', config: 'k3s.x is unknown' },
      'does not understand the settings: k3s.x is unknown',
    ],
  ])('does not switch to a version that %s', async (_, told, why) => {
    await publish();
    selfTests.set(NEW, told);
    expect(errorOf(await agent('upgrade'))).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: expect.stringContaining(why),
    });
    await expectRuns(OLD);
  });

  test.each([
    ['of nobody', async () => JSON.stringify({ ...(await keys.signing()).key, number: 999 })],
    ['that is none', async () => '<html>'],
  ])('is not kept from it by a release key %s beside the installed program', async (_, given) => {
    await publish();
    const text = await given();
    // As install.sh leaves it where there is no openssl to check it.
    for (const name of ['release.json', 'release.json.sig', 'release-key.json.sig']) {
      await machine.put(`${VERSIONS}/${OLD}/${name}`, 'not checked');
    }
    await machine.put(`${VERSIONS}/${OLD}/release-key.json`, text);
    expect((await agent('upgrade', '--check')).exitCode).toBe(0);
  });

  test('takes no release key that the one of the installed program has replaced', async () => {
    const signed = await publish();
    await keys.replace(new Date());
    const newer = await publish();
    await writeSignedRelease(machine.files, `${VERSIONS}/${OLD}`, newer);
    for (const name of ['stable.key.json', 'stable.key.json.sig']) {
      const text = name.endsWith('.sig') ? signed.keySignature : signed.key;
      machine.web.set(`${DEFAULT_BASE_URL}/${name}`, () => new Response(text));
    }
    machine.web.set(`${DEFAULT_BASE_URL}/stable.json`, () => new Response(signed.manifest));
    machine.web.set(
      `${DEFAULT_BASE_URL}/stable.json.sig`,
      () => new Response(signed.manifestSignature),
    );
    expect(errorOf(await agent('upgrade', '--check'))).toMatchObject({
      code: 'RELEASE_UNTRUSTED',
      message: expect.stringMatching(/release key \d+ was replaced: \d+ is the oldest one taken$/),
    });
  });

  test.each([
    [
      'could not use the store',
      'pipeops-agent: error: agent.db was written by a newer one [STATE_NEWER]',
      'the present version does not pass its self-test',
    ],
    [
      'would begin with an empty store',
      { version: OLD, store: 'damaged', config: null },
      `the present version takes what ${NEW} makes of the store for damaged`,
    ],
  ])('does not switch where there would be no way back: the present one %s', async (...given) => {
    const [, told, why] = given;
    await publish();
    selfTests.set(OLD, told);
    expect(errorOf(await agent('upgrade'))).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: expect.stringContaining(why),
    });
    await expectRuns(OLD);
  });

  test('works with a configuration that cannot be read, and a daemon that does not run', async () => {
    await publish();
    await machine.put('/etc/pipeops-agent/config.yaml', 'k3s: [');
    daemons.set(OLD, 'silent');
    const problem = 'config.yaml is wrong';
    selfTests.set(OLD, { version: OLD, store: 'damaged', config: problem });
    selfTests.set(NEW, { version: NEW, store: 'damaged', config: problem });
    machine.web.set('http://agent/api/health/detailed', async () => {
      if ((await linked()) === OLD) {
        throw Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' });
      }
      return Response.json(HEALTH_OF_NEW);
    });
    expect((await agent('upgrade')).exitCode).toBe(0);
    await expectRuns(NEW);
  });

  test.each([
    ['--to', '../9.9.9'],
    ['--to', '9.9.9/x'],
    ['--channel', '../stable'],
    ['--to', ''],
  ])('refuses what is no version or channel: %s %s', async (flag, value) => {
    expect(errorOf(await agent('upgrade', flag, value))).toMatchObject({ code: 'USAGE' });
  });

  test('a pin keeps every other version out, but not the way back', async () => {
    await publish();
    expect((await agent('upgrade', '--pin', '1.2.3')).exitCode).toBe(0);
    expect(errorOf(await agent('upgrade'))).toMatchObject({ code: 'UPGRADE_HELD' });
    await expectRuns(OLD);
    expect((await agent('upgrade', '--pin', NEW)).exitCode).toBe(0);
    expect((await agent('upgrade')).exitCode).toBe(0);
    await expectRuns(NEW);
    watching = undefined;
    expect((await agent('rollback')).exitCode).toBe(0);
    await expectRuns(OLD);
    expect(JSON.parse((await agent('status')).stdout)).toMatchObject({
      upgrades: { pin: NEW, paused_until: null },
    });
  });

  test.each([
    [['--pin', '1.2.3', '--unpin']],
    [['--pin', '../1']],
    [['--pause', '91d']],
    [['--pause', 'soon']],
  ])('refuses %j', async (words) => {
    expect(errorOf(await agent('upgrade', ...words))).toMatchObject({ code: 'USAGE' });
  });

  describe('from a bundle', () => {
    const BUNDLE = '/root/bundle.tar';
    const FILES = ['k3s', 'k3s-install.sh', 'k3s-images.txt', 'k3s-images.tar'];
    const PARTS = ['k3s', 'k3s-installer', 'image-list', 'k3s-images'] as const;

    async function pack(program: string, isSigned = true): Promise<void> {
      const texts = await publish(NEW, { min_version: '0.0.0-a' });
      for (const address of [...machine.web.keys()]) {
        if (address.startsWith(DEFAULT_BASE_URL)) {
          machine.web.delete(address); // There is no network.
        }
      }
      await machine.put('/parts/pipeops-agent', program);
      for (const name of FILES) {
        await machine.put(`/parts/${name}`, name);
      }
      await writeSignedRelease(machine.files, '/parts', texts);
      const others = PARTS.map((part, index) => {
        const name = FILES[index] ?? '';
        return { part, name, path: `/parts/${name}` };
      });
      const agentPart = {
        part: 'agent',
        name: 'pipeops-agent',
        path: '/parts/pipeops-agent',
      } as const;
      const content = {
        architecture: 'amd64',
        ...{ agent: { version: NEW }, k3s: { version: 'v1.36.3+k3s1' } },
        ...{ images: [], created: new Date() },
        sources: [agentPart, ...(isSigned ? signatureSources('/parts') : []), ...others],
      } as const;
      const never = new AbortController().signal;
      await writeBundle(machine.files, BUNDLE, content, () => undefined, never);
      await machine.files.removeTree('/parts');
    }

    test('the signed program in it takes over, without a network', async () => {
      await pack(PROGRAM);
      const ran = await agent('upgrade', '--bundle', BUNDLE);
      expect({ exitCode: ran.exitCode, ...JSON.parse(ran.stdout) }).toMatchObject({
        ...{ exitCode: 0, changed: true, from: OLD, version: NEW },
      });
      await expectRuns(NEW);
      expect(await machine.files.list(`${VERSIONS}/${NEW}`)).toContain('release.json.sig');
    });

    test.each([
      ['another program', () => pack('another program'), 'RELEASE_UNTRUSTED'],
      ['no signature', () => pack(PROGRAM, false), 'RELEASE_UNTRUSTED'],
      ['nothing at all', async () => machine.put(BUNDLE, ''), 'BUNDLE_INVALID'],
    ])('one with %s changes nothing', async (_, given, code) => {
      await given();
      expect(errorOf(await agent('upgrade', '--bundle', BUNDLE))).toMatchObject({ code });
      await expectRuns(OLD);
      expect(await machine.files.stat(programOf(NEW))).toBeUndefined();
    });
  });

  test('leaves alone a program that something else has put there', async () => {
    await machine.files.remove(LINK);
    await machine.put(LINK, 'a program');
    expect(errorOf(await agent('upgrade'))).toMatchObject({
      code: 'NOT_INSTALLED',
      hint: 'Run install.sh, which places both',
    });
  });
});

/** As far as it is looked at. */
const HEALTH_OF_NEW = {
  agent: {
    ...{ id: 'agent-1', version: NEW, role: 'server', pid: 8 },
    ...{ uptime_seconds: 1, memory_rss_bytes: 1 },
  },
  ready: false,
  reasons: [],
  session: { phase: 'standalone', since: '2026-01-01T00:00:00.000Z' },
  commands: { accepted: 0, running: 0, undelivered: 0, succeeded: 0, failed: 0 },
  timestamp: '2026-01-01T00:00:00.000Z',
};

describe('while the version is changed', () => {
  const record = { v: 1, id: '0123456789abcdef', kind: 'upgrade', from: OLD, to: NEW };
  beforeEach(async () => {
    const rest = { step: 'judge', began: '2026-01-01T00:00:00.000Z', judged: 1, had_session: true };
    await machine.put(RECORD, JSON.stringify({ ...record, ...rest, why: null }));
    await machine.put(UNIT, '');
    machine.enabled.add(WATCHER);
  });

  test.each([[['upgrade']], [['rollback']], [['install']], [['uninstall', '--yes']]])(
    'nothing else changes the machine: %j',
    async (words) => {
      machine.units.set(WATCHER, 'active');
      const before = await machine.tree();
      expect(errorOf(await agent(...words))).toMatchObject({
        code: 'BUSY',
        message: `The change from ${OLD} to ${NEW} is under way`,
      });
      expect(await machine.tree()).toEqual(before);
    },
  );

  test('a unit that was given up is told at once, and the next change begins anew', async () => {
    await publish();
    let isBroken = true;
    machine.programs.set('systemctl', (argv) => {
      if (argv[1] === 'start' && argv.at(-1) === WATCHER) {
        if (isBroken) {
          machine.units.set(WATCHER, 'failed');
          return {};
        }
        watching ??= watch();
      }
      return undefined as never;
    });
    // By the real clock: whoever waited for the limit would wait minutes.
    const told = await machine.run(['upgrade', '--json'], { releaseKeys: keys.keys });
    expect(errorOf(told)).toMatchObject({
      code: 'UPGRADE_FAILED',
      message: 'The change has not ended; its unit is failed',
      hint: expect.stringMatching(/then run the same command again$/),
    });
    isBroken = false;
    const started = machine.calls.length;
    expect((await agent('upgrade')).exitCode).toBe(0);
    const verbs = machine.calls
      .slice(started)
      .filter(({ argv }) => argv[0] === 'systemctl' && argv.at(-1) === WATCHER)
      .map(({ argv }) => argv[1])
      .filter((verb) => verb === 'reset-failed' || verb === 'start');
    expect(verbs.slice(0, 2)).toEqual(['reset-failed', 'start']); // systemd counts the earlier starts.
    await expectRuns(NEW);
  });

  test('the unit is started anew for an hour at most', async () => {
    await publish();
    let unit: string | undefined;
    machine.programs.set('systemctl', async (argv) => {
      if (argv[1] === 'start' && argv.at(-1) === WATCHER) {
        unit = await machine.files.readText(UNIT);
        watching ??= watch();
      }
      return undefined as never;
    });
    expect((await agent('upgrade')).exitCode).toBe(0);
    expect(unit?.split('\n').filter((line) => /^(StartLimit|Restart)/.test(line))).toEqual([
      ...['StartLimitIntervalSec=1h', 'StartLimitBurst=20', 'Restart=on-failure', 'RestartSec=2'],
    ]);
  });

  test('a change that nobody goes on with is taken over, or removed with the agent', async () => {
    await publish();
    expect((await agent('upgrade')).exitCode).toBe(0);
    await expectRuns(NEW);
    await machine.put(UNIT, '');
    expect((await agent('uninstall', '--yes')).exitCode).toBe(0);
    expect(await machine.files.stat(UNIT)).toBeUndefined();
  });
});

describe('the watcher', () => {
  const record = {
    ...{ v: 1, id: '0123456789abcdef', kind: 'upgrade', from: OLD, to: NEW, step: 'switch' },
    ...{ began: '2026-01-01T00:00:00.000Z', judged: 0, had_session: true, why: null },
  };

  /** As `upgrade` leaves it to the watcher. */
  async function begin(changed: object = {}): Promise<void> {
    await machine.put(programOf(NEW), PROGRAM, 0o755);
    await machine.put(RECORD, JSON.stringify({ ...record, ...changed }));
    await machine.put(UNIT, '');
    machine.enabled.add(WATCHER);
  }

  const result = async () => {
    const { outcome, why } = await machine.json(RESULT);
    return { outcome, why };
  };

  test('goes back from a version that does not answer', async () => {
    daemons.set(NEW, 'silent');
    await begin();
    expect(await watch()).toEqual({
      exitCode: 0,
      stdout:
        `Switching from ${OLD} to ${NEW}\nLooking whether ${NEW} is well\n` +
        `${NEW} is not well: after 60 s it does not answer. Going back to ${OLD}\n` +
        `The last change, from ${OLD} to ${NEW}, ended: went-back\n`,
      stderr: '',
    });
    expect(await result()).toEqual({ outcome: 'went-back', why: 'after 60 s it does not answer' });
    await expectRuns(OLD);
  });

  test('goes back at once from one that ends again and again', async () => {
    daemons.set(NEW, 'silent');
    let restarts = 0;
    machine.programs.set('systemctl', async (argv) => {
      const isAsked = argv[1] === 'show' && argv.some((word) => word.includes('NRestarts'));
      if (!isAsked) {
        return undefined as never;
      }
      restarts += (await linked()) === NEW ? 1 : 0;
      return { stdout: `ActiveState=activating\nResult=exit-code\nNRestarts=${restarts}` };
    });
    await begin();
    expect((await watch()).exitCode).toBe(0);
    const { outcome, why } = await result();
    expect({ outcome, isLate: String(why).includes('after 60 s') }).toEqual({
      outcome: 'went-back',
      isLate: false,
    });
    await expectRuns(OLD);
  });

  test('goes back from one without a session, unless nobody reaches the control plane', async () => {
    daemons.set(NEW, 'away');
    machine.web.set(CONTROL_PLANE, () => new Response('here'));
    await begin();
    await watch();
    expect(await result()).toEqual({
      outcome: 'went-back',
      why: 'after 60 s it has no session with the control plane, which answers',
    });
    await expectRuns(OLD);
    machine.web.delete(CONTROL_PLANE);
    await begin();
    await watch();
    expect(await result()).toEqual({ outcome: 'done', why: null });
    await expectRuns(NEW);
  });

  test('does not ask for a session that was not there before', async () => {
    daemons.set(NEW, 'away');
    machine.web.set(CONTROL_PLANE, () => new Response('here'));
    await begin({ had_session: false });
    await watch();
    expect(await result()).toEqual({ outcome: 'done', why: null });
  });

  test('says so when neither is well, and leaves the one before', async () => {
    daemons.clear();
    await begin();
    expect((await watch()).exitCode).toBe(0);
    expect(await result()).toEqual({
      outcome: 'stuck',
      why: `after 60 s it does not answer; and ${OLD}: after 60 s it does not answer`,
    });
    await expectRuns(OLD);
  });

  test('tells of the one before, too, where that cannot write its unit', async () => {
    daemons.set(NEW, 'silent');
    machine.programs.set(programOf(OLD), () => ({ exitCode: 1, stderr: 'read-only\n' }));
    await begin();
    expect((await watch()).exitCode).toBe(0);
    expect(await result()).toEqual({
      outcome: 'went-back',
      why: `after 60 s it does not answer; and ${OLD}: it could not write its unit: read-only`,
    });
    await expectRuns(OLD);
  });

  test('keeps its own program, whose unit may have to start again', async () => {
    const [third, fourth] = ['3.0.0', '4.0.0'];
    for (const version of [third, fourth]) {
      await machine.put(programOf(version), PROGRAM, 0o755);
    }
    await begin();
    const own = { clock: scaledClock(SPEED), execPath: programOf(third) };
    expect((await machine.run(['upgrade', 'watch'], own)).exitCode).toBe(0);
    await expectRuns(NEW);
    expect(await machine.files.list(VERSIONS)).toEqual([OLD, third, NEW].sort());
  });

  test.each([
    ['judge', 'silent'],
    ['judge', 'away'],
    ['back', 'silent'],
  ] as const)(
    'told to end in the step %s of a version that is %s, decides nothing, and the next one goes on',
    async (step, state) => {
      daemons.set(NEW, state);
      if (step === 'back') {
        daemons.set(OLD, 'silent');
      }
      await begin({ step, why: step === 'back' ? 'it does not answer' : null });
      await machine.files.link(programOf(step === 'back' ? OLD : NEW), LINK);
      const ending = new AbortController();
      const before = machine.calls.length;
      const watcher = machine.run(['upgrade', 'watch'], { signal: ending.signal });
      await until('the daemon is started anew', () =>
        machine.calls.slice(before).some(({ argv }) => argv[1] === 'restart'),
      );
      ending.abort();
      expect(await watcher).toMatchObject({ exitCode: 130 });
      expect(await machine.json(RECORD)).toMatchObject({ step });
      expect(await machine.files.stat(UNIT)).toBeDefined();
      daemons.set(NEW, 'well').set(OLD, 'well');
      expect((await watch()).exitCode).toBe(0);
      await expectRuns(step === 'back' ? OLD : NEW);
    },
  );

  test('told to end while a version takes over, does not blame it', async () => {
    const ending = new AbortController();
    machine.programs.set(programOf(NEW), () => {
      ending.abort();
      return { exitCode: 143 };
    });
    await begin();
    const ran = await machine.run(['upgrade', 'watch'], { signal: ending.signal });
    expect(ran).toMatchObject({ exitCode: 130 });
    machine.programs.set(programOf(NEW), () => ({}));
    expect((await watch()).exitCode).toBe(0);
    await expectRuns(NEW);
  });

  test('does not try a version again with which the machine went down three times', async () => {
    await begin({ step: 'judge', judged: 3 });
    await watch();
    expect(await result()).toEqual({
      outcome: 'went-back',
      why: 'the machine went down 3 times while it was tried',
    });
    await expectRuns(OLD);
  });

  test.each([
    ['well', NEW],
    ['silent', OLD],
  ] as const)('judges on a full disk, too: a version that is %s', async (state, runs) => {
    daemons.set(NEW, state);
    await begin();
    machine.fillDisk('/root/agent');
    expect((await watch()).exitCode).toBe(0);
    await expectRuns(runs);
  });

  test('leaves a good version in its place where an older one cannot be removed', async () => {
    await begin();
    await machine.put(`${VERSIONS}/notes`, 'of a person');
    expect((await watch()).exitCode).toBe(0);
    expect(await result()).toEqual({ outcome: 'done', why: null });
    await expectRuns(NEW);
    expect(await machine.files.readText(`${VERSIONS}/notes`)).toBe('of a person');
  });

  test('removes itself where there is nothing to change', async () => {
    await machine.put(UNIT, '');
    machine.enabled.add(WATCHER);
    expect((await watch()).exitCode).toBe(0);
    await expectRuns(OLD);
  });

  test.each([
    ['a good version', 'well', { outcome: 'done', why: null }, NEW],
    ['a bad one', 'silent', { outcome: 'went-back', why: 'after 60 s it does not answer' }, OLD],
  ] as const)(
    'killed anywhere with %s, the next one ends it the same way',
    async (_, state, expected, runs) => {
      daemons.set(NEW, state);
      let change = 1;
      for (; change < CHANGES_MAX; change = nextKill(change)) {
        await machine.files.link(programOf(OLD), LINK);
        await begin();
        machine.killAt(change);
        const isOver = (await watch()).exitCode === 0;
        expect({ change, exitCode: (await watch()).exitCode }).toEqual({ change, exitCode: 0 });
        expect({ change, ...(await result()) }).toEqual({ change, ...expected });
        await expectRuns(runs);
        if (isOver) {
          break;
        }
      }
      expect(change).toBeGreaterThan(10);
    },
    SWEEP_TIMEOUT_MS,
  );
});
