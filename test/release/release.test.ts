/** Whole release directories, as scripts/release.ts makes them; the programs in them are real builds. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { $ } from 'bun';
import { makeKeys, TEST_PURPOSE } from '../../scripts/release/key-directory.ts';
import { verifyReleases } from '../../scripts/release/verify.ts';
import { openPrivateMachine } from '../install-sh/private-machine.ts';
import { runInstallSh } from '../install-sh/run-install-sh.ts';
import { findShells } from '../install-sh/shells.ts';
import { provideTools } from '../install-sh/tools.ts';
import { billProblems } from '../support/cyclonedx-schema.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

const ROOT = join(import.meta.dir, '../..');
const TARGET = `linux-${process.arch}`;
const PROGRAM = `pipeops-agent-${TARGET}`;
const DAY_MS = 86_400_000;
/** What a build is made of. */
const SOURCES = [
  'src',
  'scripts',
  'systemd',
  'install.sh',
  'package.json',
  'tsconfig.json',
  'bun.lock',
];

let scratch: TempDirectory;
let keys: string;
let release: string;

/** Runs scripts/release.ts. */
async function run(...words: readonly string[]) {
  const script = join(ROOT, 'scripts/release.ts');
  const child = Bun.spawn([process.execPath, script, ...words], {
    cwd: scratch.path,
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

const prepare = (...words: readonly string[]) =>
  run('prepare', '--quick', '--no-packages', '--target', TARGET, ...words);
const verify = (now = new Date()) =>
  verifyReleases({ keysDirectory: keys, directory: release, isTest: true, now });

beforeAll(async () => {
  scratch = await tempDirectory();
  [keys, release] = [join(scratch.path, 'keys'), join(scratch.path, 'release')];
  await run('keys', '--test', '--out', keys);
  await prepare('--test', '--release-keys', join(keys, 'keys.json'), '--out', release);
  const { stderr } = await run('sign', '--test', '--keys', keys, '--out', release);
  expect(stderr).toBe('');
});
afterAll(async () => await scratch[Symbol.asyncDispose]());

async function filesOf(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

test('a release has what install.sh, programs and people look for, and nothing else', async () => {
  const [version = ''] = await verify();
  const signed = ['release-key.json', 'release-key.json.sig'];
  expect(await filesOf(release)).toEqual(
    [
      ...['SHA256SUMS', 'install.sh', `${PROGRAM}.gz`, `${PROGRAM}.zst`, ...signed].map(
        (name) => `${version}/${name}`,
      ),
      ...['release.json', 'release.json.sig', 'sbom.cdx.json'].map((name) => `${version}/${name}`),
      ...['install.sh', 'latest', 'stable.json', 'stable.json.sig'],
      ...['stable.key.json', 'stable.key.json.sig'],
    ].sort(),
  );
  const told = await run('verify', '--test', '--keys', keys, '--dir', release);
  expect(told).toEqual({
    exitCode: 0,
    stdout: `All is well in ${release}: ${version}\n`,
    stderr: '',
  });
}, 60_000);

test('one changed byte, a cut, a missing or a further file is found, wherever it is', async () => {
  for (const name of await filesOf(release)) {
    const path = join(release, name);
    const bytes = await readFile(path);
    const changed = Buffer.from(bytes);
    const at = Math.floor(bytes.length / 2);
    changed[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
    await writeFile(path, changed);
    await expect(verify()).rejects.toThrow(/\w/);
    await writeFile(path, bytes);
    await truncate(path, at);
    await expect(verify()).rejects.toThrow(/\w/);
    await rm(path);
    await expect(verify()).rejects.toThrow(/\w/);
    await writeFile(path, bytes);
  }
  const [version = ''] = await verify();
  for (const directory of [release, join(release, version)]) {
    await writeFile(join(directory, 'stranger'), '');
    await expect(verify()).rejects.toThrow('stranger');
    await rm(join(directory, 'stranger'));
  }
}, 180_000);

test('a release that is not the newest any more, or whose key has expired, is found', async () => {
  const inDays = (days: number) => verify(new Date(Date.now() + days * DAY_MS));
  await expect(inDays(200)).rejects.toThrow('calls the newest release expired at');
  await expect(inDays(400)).rejects.toThrow('Release key 1 of');
}, 60_000);

describe('keys for tests', () => {
  test('make no release', async () => {
    const out = join(scratch.path, 'other');
    const publicKeys = join(keys, 'keys.json');
    const found = [
      await prepare('--out', out),
      await prepare('--out', out, '--release-keys', publicKeys),
      await run('sign', '--keys', keys, '--out', release),
      await run('verify', '--keys', keys, '--dir', release),
      await run('certify', '--keys', keys),
    ];
    const ofTests =
      'release.ts: These are keys for tests: a release never carries them. See docs/RELEASING.md\n';
    expect(found.map(({ exitCode, stderr }) => ({ exitCode, stderr }))).toEqual([
      {
        exitCode: 1,
        stderr:
          'release.ts: There are no root keys: no machine could trust this release. See docs/RELEASING.md\n',
      },
      ...Array.from({ length: 4 }, () => ({ exitCode: 1, stderr: ofTests })),
    ]);
    expect(await Bun.file(out).exists()).toBe(false);
  }, 60_000);

  test('are found in a program, whatever the files beside it say', async () => {
    const renamed = join(scratch.path, 'renamed-keys');
    await cp(keys, renamed, { recursive: true });
    const text = await readFile(join(renamed, 'keys.json'), 'utf8');
    await writeFile(join(renamed, 'keys.json'), text.replace(TEST_PURPOSE, 'release'));
    const { exitCode, stderr } = await run('sign', '--keys', renamed, '--out', release);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: `release.ts: ${PROGRAM}.gz was built with keys for tests\n`,
    });
  }, 60_000);

  test('are not those of the repository', async () => {
    const { purpose } = await Bun.file(join(ROOT, 'scripts/release/keys.json')).json();
    expect(purpose).toBe('release');
  });

  test('sign nothing that was built with others', async () => {
    const others = join(scratch.path, 'other-keys');
    await makeKeys(others, { purpose: TEST_PURPOSE, now: new Date(), days: 1 });
    const { exitCode, stderr } = await run('sign', '--test', '--keys', others, '--out', release);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining(`${PROGRAM}.gz was built without the root key MCow`),
    });
  }, 60_000);
});

test('a version is never made twice, and keys are never overwritten', async () => {
  const [version = ''] = await verify();
  const again = await prepare(
    '--test',
    '--release-keys',
    join(keys, 'keys.json'),
    '--out',
    release,
  );
  expect(again.stderr).toContain(`${join(release, version)} is there already`);
  const over = await run('keys', '--test', '--out', keys);
  expect(over.stderr).toContain(`There are keys in ${keys} already`);
}, 60_000);

test('with a new release key all versions are signed anew; without a root key there is none', async () => {
  const [copiedKeys, copied] = [join(scratch.path, 'keys-2'), join(scratch.path, 'release-2')];
  await cp(keys, copiedKeys, { recursive: true });
  await cp(release, copied, { recursive: true });
  await rm(join(copiedKeys, 'root-1.key.pem'));
  expect((await run('certify', '--test', '--keys', copiedKeys)).stdout).toStartWith(
    'Release key 2 ',
  );
  const publicKeys = join(copiedKeys, 'keys.json');
  const beta = ['--version', '99.0.0-rc.1', '--channel', 'beta'];
  await prepare('--test', '--release-keys', publicKeys, '--out', copied, ...beta);
  await rm(join(copiedKeys, 'root-2.key.pem'));
  const [version = ''] = await verify();
  // A channel that is signed elsewhere by the new key leaves the others as they are.
  const alone = join(scratch.path, 'beta-alone');
  await cp(join(copied, '99.0.0-rc.1'), join(alone, '99.0.0-rc.1'), { recursive: true });
  expect((await run('sign', '--test', '--keys', copiedKeys, '--out', alone)).stderr).toBe('');
  await cp(alone, copied, { recursive: true });
  const judged = { keysDirectory: copiedKeys, directory: copied, isTest: true, now: new Date() };
  expect(await verifyReleases(judged)).toEqual(['99.0.0-rc.1', version]);
  const signed = await run('sign', '--test', '--keys', copiedKeys, '--out', copied);
  expect(signed.stdout).toBe(`Signed in ${copied}: 99.0.0-rc.1, ${version}\n`);
  expect(await verifyReleases(judged)).toEqual(['99.0.0-rc.1', version]);
  expect(await readFile(join(copied, 'latest'), 'utf8')).toBe(`${version}\n`);
  for (const channel of ['stable', 'beta']) {
    const { number } = await Bun.file(join(copied, `${channel}.key.json`)).json();
    expect({ channel, number }).toEqual({ channel, number: 2 });
  }
  const none = await run('certify', '--test', '--keys', copiedKeys);
  expect(none.stderr).toBe(`release.ts: There is no root key in ${copiedKeys}\n`);
}, 120_000);

test('two builds in different places at different times are the same to the byte', async () => {
  const hashes: string[] = [];
  for (const name of ['one', 'another/place']) {
    const root = join(scratch.path, name);
    for (const source of SOURCES) {
      await cp(join(ROOT, source), join(root, source), { recursive: true });
    }
    // A link to the packages would be another place: it is followed, and told in the source maps.
    await cp(join(ROOT, 'node_modules'), join(root, 'node_modules'), {
      recursive: true,
      filter: (path) => !/node_modules\/@?(typescript|biomejs)(\/|$)/.test(path),
    });
    await $`${process.execPath} scripts/build.ts --target ${TARGET}`.cwd(root).quiet();
    // It lists the program, the .gz and the .zst.
    hashes.push(await readFile(join(root, 'dist/SHA256SUMS'), 'utf8'));
  }
  expect(hashes[1]).toBe(hashes[0]);
}, 120_000);

test('the bill of software follows CycloneDX, and names all that the program may contain', async () => {
  const [version = ''] = await verify();
  const text = await readFile(join(release, version, 'sbom.cdx.json'), 'utf8');
  expect(await billProblems(text)).toEqual([]);
  expect(await billProblems(text.replace('"CycloneDX"', '"Other"'))).not.toEqual([]);
  const { dependencies } = await Bun.file(join(ROOT, 'package.json')).json();
  const purls = JSON.parse(text).components.map(({ purl }: { purl: string }) => purl);
  for (const [name, exact] of Object.entries(dependencies)) {
    expect(purls).toContain(`pkg:npm/${name.replace('@', '%40')}@${exact}`);
  }
  expect(purls).toContain('pkg:github/oven-sh/bun@bun-v1.4.5');
  expect(text).not.toContain('typescript');
}, 180_000);

test('a person can check a download by hand, as docs/INSTALL.md says', async () => {
  await using place = servePlace();
  const text = await readFile(join(ROOT, 'docs/INSTALL.md'), 'utf8');
  const block = /^signed\(\) \{[\s\S]*?(?=^```$)/m.exec(text)?.[0] ?? '';
  const lines = block.replace('https://get.pipeops.dev/agent', place.url);
  const { roots } = await Bun.file(join(keys, 'keys.json')).json();
  const cwd = join(scratch.path, 'by-hand');
  await mkdir(cwd);
  const check = (root: string) =>
    $`sh -e -c ${lines}`.cwd(cwd).env({ PATH: '/usr/bin:/bin', ROOT: root }).nothrow().quiet();
  const ran = await check(roots[0]);
  expect({ exitCode: ran.exitCode, stdout: ran.stdout.toString() }).toEqual({
    exitCode: 0,
    stdout: expect.stringMatching(
      /^(Signature Verified Successfully\n){2} *"name": "install.sh",\n.*\n *"sha256": "[0-9a-f]{64}"\n$/,
    ),
  });
  // The other root has not signed this release key.
  expect((await check(roots[1])).exitCode).not.toBe(0);
}, 60_000);

/** Serves the release as any web server would. */
function servePlace() {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => new Response(Bun.file(join(release, new URL(request.url).pathname))),
  });
  const url = server.url.href.replace(/\/$/, '');
  return { url, [Symbol.asyncDispose]: async () => await server.stop(true) };
}

describe.each([...findShells()])('install.sh in $name', (shell) => {
  test.if(process.getuid?.() === 0)(
    'installs from the directory, and its program runs',
    async () => {
      await using place = servePlace();
      await using machine = await openPrivateMachine({ diskSize: '400m' });
      await using tools = await provideTools(shell, { more: ['openssl'] });
      const script = await readFile(join(release, 'install.sh'), 'utf8');
      const env = { PIPEOPS_BASE_URL: place.url };
      // What the program refuses before it looks at this machine.
      const { exitCode, stderr } = await runInstallSh({
        ...{ machine, shell, tools, script, env },
        flags: ['--no-such-flag'],
      });
      expect({ exitCode, stderr }).toEqual({
        exitCode: 2,
        stderr: expect.stringMatching(
          /The signature of pipeops-agent .* is good \(release key 1\)\n(.*\n)*.*\[UNKNOWN_FLAG\]/,
        ),
      });
    },
    60_000,
  );
});
