/** Bundles of a program that knows keys: made, verified and installed only with signatures that fit. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { DEFAULT_BASE_URL } from '../../src/core/places.ts';
import { BUILD } from '../../src/core/version.ts';
import { RELEASE_FILE_NAMES, type SignedRelease } from '../../src/protocol/files/release.ts';
import { errorOf } from '../support/installation.ts';
import {
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';
import { listed, signedRelease, type TestKeys, testKeys } from '../support/test-release.ts';

const BUNDLE = '/root/bundle.tar';
const CREATE = ['bundle', 'create', '--output', BUNDLE, '--k3s-mirror', MIRROR, '--json'];
const VERIFY = ['bundle', 'verify', BUNDLE, '--json'];
const INSTALL = ['install', '--bundle', BUNDLE, '--token-file', '/root/token', '--json'];
const PLACE = `${DEFAULT_BASE_URL}/${BUILD.version}`;
const SIGNED_NAMES = Object.values(RELEASE_FILE_NAMES);
const DAY_MS = 86_400_000;

let keys: TestKeys;
let machine: SimulatedMachine;
beforeAll(async () => {
  keys = await testKeys(new Date());
});
afterAll(async () => await keys[Symbol.asyncDispose]());
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const known = () => ({ releaseKeys: keys.keys, env: { PIPEOPS_API_URL: CONTROL_PLANE } });

/** Serves the signatures of the running program, or of another one. */
async function publish(by: TestKeys, program?: string): Promise<void> {
  const content = program ?? (await machine.files.readBytes('/root/agent')) ?? '';
  const time = (days: number) =>
    new Date(Date.now() + days * DAY_MS).toISOString().replace(/\.\d+Z/, 'Z');
  const signed = await signedRelease(by, {
    ...{ version: BUILD.version, channel: 'stable', released: time(-1), expires: time(10) },
    ...{ min_version: '0.0.0', programs: [listed('pipeops-agent-linux-x64', content)], files: [] },
  });
  for (const part of Object.keys(RELEASE_FILE_NAMES) as (keyof SignedRelease)[]) {
    machine.web.set(
      `${PLACE}/${RELEASE_FILE_NAMES[part]}`,
      (url) =>
        // The name of a signature begins as that of its file.
        new Response(url.endsWith('.sig') === part.endsWith('Signature') ? signed[part] : ''),
    );
  }
}

describe('a program that knows keys', () => {
  test('puts its signatures into a bundle, and installs them beside itself', async () => {
    await publish(keys);
    const created = await machine.run(CREATE, known());
    expect({ exitCode: created.exitCode, stderr: created.stderr }).toMatchObject({ exitCode: 0 });
    const names = JSON.parse(created.stdout).files.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining([...SIGNED_NAMES]));
    machine.web.delete(`${PLACE}/release.json`);
    expect((await machine.run(VERIFY, known())).stderr).toContain('signed with release key 1');

    const installed = await machine.run(INSTALL, known());
    expect(installed.exitCode).toBe(0);
    const directory = `/opt/pipeops-agent/${BUILD.version}`;
    expect(await machine.files.list(directory)).toEqual([...SIGNED_NAMES, 'pipeops-agent'].sort());
    // From now on they are asked of nobody.
    for (const name of SIGNED_NAMES) {
      machine.web.delete(`${PLACE}/${name}`);
    }
    expect((await machine.run(CREATE, known())).exitCode).toBe(0);
  });

  test('makes no bundle of a program that is not the signed one', async () => {
    await publish(keys, 'another program');
    expect(errorOf(await machine.run(CREATE, known()))).toMatchObject({
      code: 'RELEASE_UNTRUSTED',
      message: expect.stringMatching(/^\/root\/agent is not the signed pipeops-agent-linux-x64: /),
    });
    expect(await machine.files.stat(BUNDLE)).toBeUndefined();
  });

  test('makes none with signatures of others, or without any', async () => {
    const without = errorOf(await machine.run(CREATE, known()));
    expect(without).toMatchObject({ code: 'DOWNLOAD_FAILED' });
    await using others = await testKeys(new Date());
    await publish(others);
    expect(errorOf(await machine.run(CREATE, known()))).toMatchObject({
      code: 'RELEASE_UNTRUSTED',
      message: expect.stringContaining('signed by no root key that this program knows'),
    });
  });

  test('takes no bundle without signatures: neither to look at nor to install', async () => {
    expect((await machine.run(CREATE)).exitCode).toBe(0);
    const before = await machine.tree();
    for (const words of [VERIFY, INSTALL]) {
      expect(errorOf(await machine.run(words, known()))).toMatchObject({
        code: 'RELEASE_UNTRUSTED',
        message: `Cannot trust the bundle ${BUNDLE}: it has no signature`,
      });
    }
    expect(await machine.tree()).toEqual(before);
  });

  test('takes no bundle whose release key has expired, unless it may have', async () => {
    await using old = await testKeys(new Date(Date.now() - 31 * DAY_MS));
    await publish(old);
    const knowing = { releaseKeys: old.keys };
    expect(errorOf(await machine.run(CREATE, knowing))).toMatchObject({ code: 'RELEASE_EXPIRED' });
    const allowed = { ...knowing, env: { PIPEOPS_ALLOW_EXPIRED: 'yes' } };
    expect((await machine.run(CREATE, allowed)).exitCode).toBe(0);
    expect(errorOf(await machine.run(VERIFY, knowing))).toMatchObject({
      code: 'RELEASE_EXPIRED',
      message: expect.stringContaining('Release key 1 of the bundle /root/bundle.tar expired at'),
    });
    expect((await machine.run(VERIFY, allowed)).exitCode).toBe(0);
  });
});

test('a build without keys takes a signed bundle, and says that it checks no signature', async () => {
  await publish(keys);
  expect((await machine.run(CREATE, known())).exitCode).toBe(0);
  const { exitCode, stderr } = await machine.run(VERIFY);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringContaining('not signed, or by keys that this build does not know'),
  });
});
