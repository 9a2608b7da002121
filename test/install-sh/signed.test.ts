/** install.sh as a release has it, with the real openssl: what it takes, and what it refuses. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'bun';
import { installScriptWith } from '../../src/host/release/install-script.ts';
import { RELEASE_FILE_NAMES, type SignedRelease } from '../../src/protocol/files/release.ts';
import { listed, signedRelease, type TestKeys, testKeys } from '../support/test-release.ts';
import { type FakeRelease, startFakeRelease } from './fake-release.ts';
import { openPrivateMachine } from './private-machine.ts';
import { type InstallRun, runInstallSh } from './run-install-sh.ts';
import { findShells, INSTALL_SH, type Shell } from './shells.ts';
import { provideTools, type ToolsOptions } from './tools.ts';

/** Mount namespaces need root. */
const rootTest = test.if(process.getuid?.() === 0);
const DAY_MS = 86_400_000;
const PLATFORM = `linux-${process.arch}`;
const PROGRAM = `pipeops-agent-${PLATFORM}`;
const GOOD = 'The signature of pipeops-agent 1.2.3 is good (release key 1)\n';

let keys: TestKeys;
let script: string;
beforeAll(async () => {
  keys = await testKeys(new Date(Date.now() - DAY_MS));
  script = installScriptWith(await readFile(INSTALL_SH, 'utf8'), keys.keys);
});
afterAll(async () => await keys[Symbol.asyncDispose]());

/** Days from now, as a manifest has it. */
const inDays = (days: number) =>
  new Date(Date.now() + days * DAY_MS).toISOString().replace(/\.\d+Z/, 'Z');

interface Made {
  readonly version?: string;
  readonly comment?: string;
  /** Of the manifest, to differ from what is right. */
  readonly content?: Readonly<Record<string, unknown>>;
  readonly by?: TestKeys;
}

/** Publishes a version with its signatures. @returns its four texts */
async function publishSigned(
  release: FakeRelease,
  { version = '1.2.3', comment = '', content = {}, by = keys }: Made = {},
): Promise<SignedRelease> {
  release.publish(version, comment);
  const program = new TextEncoder().encode(release.program(comment));
  const signed = await signedRelease(by, {
    ...{ version, channel: 'stable', released: inDays(-2), expires: inDays(10) },
    ...{ min_version: '0.0.0', programs: [listed(PROGRAM, program)] },
    files: [listed(`${PROGRAM}.gz`, gzipSync(program))],
    ...content,
  });
  serve(release, version, signed);
  return signed;
}

function serve(release: FakeRelease, version: string, signed: SignedRelease): void {
  for (const part of Object.keys(RELEASE_FILE_NAMES) as (keyof SignedRelease)[]) {
    release.answer(`/${version}/${RELEASE_FILE_NAMES[part]}`, () => new Response(signed[part]));
  }
}

async function open(shell: Shell, options: ToolsOptions = {}) {
  await using cleanup = new AsyncDisposableStack();
  const release = cleanup.use(startFakeRelease());
  const machine = cleanup.use(await openPrivateMachine());
  const tools = cleanup.use(await provideTools(shell, { more: ['openssl'], ...options }));
  const owned = cleanup.move();
  const run: InstallRun = {
    machine,
    shell,
    tools,
    script,
    env: { PIPEOPS_BASE_URL: release.baseUrl },
  };
  return { release, machine, run, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

type Stand = Awaited<ReturnType<typeof open>>;

/** The first line of its error, and that nothing is left. */
async function refusal({ run, machine, release }: Stand, env: Record<string, string> = {}) {
  const { exitCode, stderr } = await runInstallSh({ ...run, env: { ...run.env, ...env } });
  expect({ exitCode, files: await machine.files() }).toEqual({ exitCode: 6, files: [] });
  expect(stderr).toContain('\npipeops-agent: hint: ');
  return /error: (.*)/.exec(stderr)?.[1]?.replaceAll(release.baseUrl, 'BASE');
}

describe.each([...findShells()])('install.sh of a release, in $name', (shell) => {
  rootTest('takes what is signed, and keeps the signatures', async () => {
    await using stand = await open(shell);
    const signed = await publishSigned(stand.release);
    const { exitCode, stderr } = await runInstallSh(stand.run);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining(GOOD) });
    const directory = '/opt/pipeops-agent/1.2.3';
    expect(await stand.machine.files()).toEqual([
      '/opt/pipeops-agent',
      directory,
      ...['pipeops-agent', 'release-key.json', 'release-key.json.sig', 'release.json'].map(
        (name) => `${directory}/${name}`,
      ),
      `${directory}/release.json.sig`,
      '/usr/local/bin/pipeops-agent',
    ]);
    const kept = await readFile(stand.machine.outside(`${directory}/release.json`), 'utf8');
    expect(kept).toBe(signed.manifest);
  });

  rootTest('takes it without openssl, and says what was not checked', async () => {
    // BusyBox has no openssl, so nothing is called that is not on the PATH.
    await using stand = await open(shell, { more: [] });
    await publishSigned(stand.release);
    const { exitCode, stderr } = await runInstallSh(stand.run);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining(
        'Not checked: the signature of the release. For that install openssl',
      ),
    });
  });

  rootTest.each([
    ['that is older than 3.0', 'echo "Usage: pkeyutl -verify -sigfile" >&2; exit 1'],
    ['that refuses Ed25519 (FIPS)', 'case $1 in pkeyutl) echo " -rawin" ;; *) exit 1 ;; esac'],
  ])('treats an openssl %s as none', async (_, openssl) => {
    await using stand = await open(shell, { replaced: { openssl } });
    await publishSigned(stand.release);
    const { exitCode, stderr } = await runInstallSh(stand.run);
    expect({ exitCode, isSaid: stderr.includes('Not checked: the signature') }).toEqual({
      exitCode: 0,
      isSaid: true,
    });
  });

  rootTest('refuses one changed byte in any file of the release', async () => {
    for (const part of Object.keys(RELEASE_FILE_NAMES) as (keyof SignedRelease)[]) {
      await using stand = await open(shell);
      const signed = await publishSigned(stand.release);
      const at = Math.floor(signed[part].length / 2);
      const other = signed[part][at] === 'A' ? 'B' : 'A';
      const changed = `${signed[part].slice(0, at)}${other}${signed[part].slice(at + 1)}`;
      serve(stand.release, '1.2.3', { ...signed, [part]: changed });
      const isOfKey = part === 'key' || part === 'keySignature';
      expect(await refusal(stand)).toBe(
        `Cannot trust pipeops-agent 1.2.3 of BASE: ${
          isOfKey
            ? 'its release key is signed by no root key that is known here'
            : 'release key 1 has not signed its manifest'
        } [RELEASE_UNTRUSTED]`,
      );
    }
  });

  rootTest('goes by the signed hash, whatever SHA256SUMS says', async () => {
    await using stand = await open(shell);
    const signed = await publishSigned(stand.release);
    stand.release.publish('1.2.3', 'changed');
    serve(stand.release, '1.2.3', signed);
    expect(await refusal(stand)).toBe(
      `What BASE/1.2.3/${PROGRAM}.gz sends is over ${listedSize(signed)} bytes [DOWNLOAD_CORRUPT]`,
    );
    // Of the same size, then.
    const wrong = { files: [{ ...listed(`${PROGRAM}.gz`, ''), size: 100_000 }] };
    await publishSigned(stand.release, { content: wrong });
    expect(await refusal(stand)).toBe(
      `The SHA-256 hash of ${PROGRAM}.gz is not the one in BASE/1.2.3/release.json [DOWNLOAD_CORRUPT]`,
    );
  });

  rootTest('ends a download that is longer than what was signed, told before or not', async () => {
    for (const isTold of [true, false]) {
      await using stand = await open(shell);
      const signed = await publishSigned(stand.release);
      const long = new Uint8Array(4 * 1024 * 1024);
      stand.release.answer(`/1.2.3/${PROGRAM}.gz`, () =>
        isTold ? new Response(long) : new Response(new Blob([long]).stream()),
      );
      expect(await refusal(stand)).toBe(
        `What BASE/1.2.3/${PROGRAM}.gz sends is over ${listedSize(signed)} bytes [DOWNLOAD_CORRUPT]`,
      );
    }
  });

  rootTest('refuses a release without signatures, and keys of others', async () => {
    await using stand = await open(shell);
    stand.release.publish('1.2.3');
    expect(await refusal(stand)).toStartWith('Cannot download BASE/1.2.3/release-key.json: ');
    await using theirs = await testKeys(new Date());
    await publishSigned(stand.release, { by: theirs });
    expect(await refusal(stand)).toContain('signed by no root key that is known here');
    await using other = await testKeys(new Date(), 'release');
    await publishSigned(stand.release, { by: other });
    const knowing = installScriptWith(await readFile(INSTALL_SH, 'utf8'), {
      ...keys.keys,
      roots: other.keys.roots,
    });
    expect(await refusal({ ...stand, run: { ...stand.run, script: knowing } })).toContain(
      'its release key is for another purpose',
    );
  });

  rootTest('refuses a manifest of another version or channel, or a replaced key', async () => {
    await using stand = await open(shell);
    await publishSigned(stand.release, { content: { version: '1.2.2' } });
    expect(await refusal(stand)).toContain(
      'its manifest is of another version [RELEASE_UNTRUSTED]',
    );
    await publishSigned(stand.release, { content: { channel: 'beta' } });
    expect(await refusal(stand)).toBe(
      'BASE calls 1.2.3 the newest, and it is not of the channel "stable" [RELEASE_REFUSED]',
    );
    const { exitCode } = await runInstallSh({
      ...stand.run,
      env: { ...stand.run.env, PIPEOPS_VERSION: '1.2.3' },
    });
    expect(exitCode).toBe(0);
    await using other = await open(shell);
    await publishSigned(other.release);
    const revoking = installScriptWith(await readFile(INSTALL_SH, 'utf8'), {
      ...keys.keys,
      oldest_key: 2,
    });
    const run = { ...other.run, script: revoking };
    expect(await refusal({ ...other, run })).toContain('release key 1 was replaced');
  });

  rootTest('takes no key that the installed one has replaced, also by its version', async () => {
    await using own = await testKeys(new Date(Date.now() - DAY_MS));
    await using stand = await open(shell);
    const knowing = installScriptWith(await readFile(INSTALL_SH, 'utf8'), own.keys);
    const run = { ...stand.run, script: knowing };
    const before = await publishSigned(stand.release, { by: own });
    await own.replace(new Date());
    await publishSigned(stand.release, { by: own });
    expect((await runInstallSh(run)).exitCode).toBe(0);
    serve(stand.release, '1.2.3', before);
    for (const version of ['', '1.2.3']) {
      const env = { ...run.env, PIPEOPS_VERSION: version };
      const { exitCode, stderr } = await runInstallSh({ ...run, env });
      expect({ version, exitCode, stderr }).toEqual({
        ...{ version, exitCode: 6 },
        stderr: expect.stringContaining('release key 1 was replaced'),
      });
    }
  });

  rootTest('is kept from nothing by what nobody has checked beside the program', async () => {
    await using stand = await open(shell);
    const signed = await publishSigned(stand.release);
    expect((await runInstallSh(stand.run)).exitCode).toBe(0);
    const at = (name: string) => stand.machine.outside(`/opt/pipeops-agent/1.2.3/${name}`);
    const key = signed.key.replace('"number": 1', '"number": 999');
    for (const [name, text] of [
      ['release-key.json', key],
      ['release-key.json', '<html>'],
      ['release.json', signed.manifest.replace(/"released": "\d+/, '"released": "9999')],
    ] as const) {
      await writeFile(at(name), text);
      const { exitCode, stderr } = await runInstallSh(stand.run);
      expect({ name, exitCode, stderr }).toMatchObject({ name, exitCode: 0 });
    }
  });

  rootTest(
    'refuses what has expired, unless it was asked for by its version, or it may',
    async () => {
      await using stand = await open(shell);
      const expires = inDays(-1);
      await publishSigned(stand.release, { content: { expires } });
      expect(await refusal(stand)).toStartWith(
        `What BASE calls the newest release expired at ${expires}; the clock here says 20`,
      );
      for (const [name, value] of [
        ['PIPEOPS_VERSION', '1.2.3'],
        ['PIPEOPS_ALLOW_EXPIRED', 'yes'],
      ] as const) {
        const env = { ...stand.run.env, [name]: value };
        expect((await runInstallSh({ ...stand.run, env })).exitCode).toBe(0);
      }
    },
  );

  rootTest('refuses a release key that has expired', async () => {
    await using old = await testKeys(new Date(Date.now() - 31 * DAY_MS));
    await using stand = await open(shell);
    await publishSigned(stand.release, { by: old });
    const knowing = installScriptWith(await readFile(INSTALL_SH, 'utf8'), old.keys);
    const run = { ...stand.run, script: knowing };
    expect(await refusal({ ...stand, run }, { PIPEOPS_VERSION: '1.2.3' })).toMatch(
      /^Release key 1 expired at .*; the clock here says .* \[RELEASE_EXPIRED\]$/,
    );
  });

  rootTest('does not go back to what is older, except by its version', async () => {
    await using stand = await open(shell);
    await publishSigned(stand.release, { version: '1.2.3' });
    expect((await runInstallSh(stand.run)).exitCode).toBe(0);
    await publishSigned(stand.release, { version: '1.2.2', content: { released: inDays(-3) } });
    const { exitCode, stderr } = await runInstallSh(stand.run);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 6,
      stderr: expect.stringContaining(
        `${stand.release.baseUrl} calls 1.2.2 the newest, and 1.2.3 is here, which is newer [RELEASE_REFUSED]`,
      ),
    });
    const env = { ...stand.run.env, PIPEOPS_VERSION: '1.2.2' };
    expect((await runInstallSh({ ...stand.run, env })).exitCode).toBe(0);
  });
});

describe.each([...findShells().filter(({ toolbox }) => toolbox === undefined)])(
  'install.sh of a release, in $name',
  (shell) => {
    rootTest.each([
      ['years behind', '1970-01-02T00:00:00Z', 0, 'before this release was made'],
      ['years ahead', '2099-01-02T00:00:00Z', 6, 'the clock here says 2099-01-02T00:00:00Z'],
    ])('says that the clock is %s', async (_, now, expected, said) => {
      await using stand = await open(shell, { replaced: { date: `echo ${now}` } });
      await publishSigned(stand.release);
      const { exitCode, stderr } = await runInstallSh(stand.run);
      expect({ exitCode, stderr }).toEqual({
        exitCode: expected,
        stderr: expect.stringContaining(said),
      });
    });
  },
);

function listedSize({ manifest }: SignedRelease): number {
  return JSON.parse(manifest).files[0].size;
}
