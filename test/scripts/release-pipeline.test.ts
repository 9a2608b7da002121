import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '../..');
const SCRIPT = join(ROOT, 'scripts/release/pipeline.ts');
let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'release-pipeline-'));
});

afterEach(async () => await rm(scratch, { recursive: true }));

async function pipeline(args: readonly string[], env: Record<string, string> = {}, root = ROOT) {
  const script = root === ROOT ? SCRIPT : join(root, 'scripts/release/pipeline.ts');
  const child = Bun.spawn([process.execPath, script, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: scratch, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

/** The scripts beside a changelog and a version of the test's own. */
async function projectOf(version: string): Promise<string> {
  const root = join(scratch, 'project');
  await Bun.$`mkdir -p ${root}/changes && cp -r ${ROOT}/scripts ${root}/scripts`.quiet();
  await Bun.write(join(root, 'package.json'), JSON.stringify({ version }));
  await Bun.write(
    join(root, 'CHANGELOG.md'),
    '## Unreleased\n\n## 1.2.3 (2026-01-02)\n\n- It runs.\n',
  );
  return root;
}

test('a tag is released when it is the version, and the changelog tells of it', async () => {
  const root = await projectOf('1.2.3');
  expect(await pipeline(['tag', 'v1.2.3'], {}, root)).toEqual({
    code: 0,
    out: 'v1.2.3 is ready to be released\n',
    err: '',
  });
  expect(await pipeline(['tag', 'v1.2.4'], {}, root)).toEqual({
    code: 1,
    out: '',
    err: 'release: The tag is v1.2.4, but package.json has 1.2.3: tag v1.2.3\n',
  });
  await Bun.write(join(root, 'package.json'), JSON.stringify({ version: '1.3.0' }));
  expect(await pipeline(['tag', 'v1.3.0'], {}, root)).toEqual({
    code: 1,
    out: '',
    err: 'release: CHANGELOG.md does not tell of 1.3.0: bun scripts/changelog.ts release 1.3.0\n',
  });
});

test('two builds are compared file by file', async () => {
  const [one, two] = [join(scratch, 'one'), join(scratch, 'two')];
  await Bun.write(join(one, '1.2.3/program'), 'the same');
  await Bun.write(join(two, '1.2.3/program'), 'the same');
  expect(await pipeline(['same', one, two])).toEqual({
    code: 0,
    out: '1 files are the same\n',
    err: '',
  });
  await Bun.write(join(two, '1.2.3/program'), 'not the same');
  await Bun.write(join(one, 'latest'), '1.2.3');
  expect(await pipeline(['same', one, two])).toEqual({
    code: 1,
    out: '',
    err: 'release: The two builds are not the same: 1.2.3/program, latest\n',
  });
  await mkdir(join(scratch, 'empty'));
  expect(await pipeline(['same', join(scratch, 'empty'), join(scratch, 'empty')])).toEqual({
    code: 1,
    out: '',
    err: `release: The two builds are not the same: There are no files in ${scratch}/empty\n`,
  });
});

test('the release key of the environment becomes files that only their owner reads', async () => {
  const out = join(scratch, 'keys');
  const env = {
    RELEASE_KEY_PEM: 'the key',
    RELEASE_KEY_JSON: '{}',
    RELEASE_KEY_JSON_SIG: 'c2ln\n',
  };
  const { RELEASE_KEY_PEM: _, ...incomplete } = env;
  expect(await pipeline(['keys', '--out', out], incomplete)).toEqual({
    code: 1,
    out: '',
    err: 'release: The environment has no RELEASE_KEY_PEM: docs/RELEASING.md says what it holds\n',
  });
  expect((await pipeline(['keys', '--out', out], env)).code).toBe(0);
  const names = (await readdir(out)).sort();
  expect(names).toEqual([
    'keys.json',
    'release-key.json',
    'release-key.json.sig',
    'release.key.pem',
  ]);
  expect(await Bun.file(join(out, 'release.key.pem')).text()).toBe('the key\n');
  expect((await stat(join(out, 'release.key.pem'))).mode & 0o777).toBe(0o600);
});

test('a release is published with its notes, every file and the whole as one archive', async () => {
  const root = await projectOf('1.2.3');
  const release = join(scratch, 'release');
  await Bun.write(join(release, '1.2.3/program.gz'), 'program');
  await Bun.write(join(release, 'latest'), '1.2.3\n');
  const bin = join(scratch, 'bin');
  const gh = join(bin, 'gh');
  // It says what it was called with: the real one talks to GitHub.
  await Bun.write(gh, '#!/bin/sh\nprintf "%s\\n" "$@"; cat "$6"; tar --list --file "$7" | sort\n');
  await chmod(gh, 0o755);
  const { code, out } = await pipeline(
    ['publish', 'v1.2.3', release],
    { PATH: `${bin}:${process.env['PATH']}` },
    root,
  );
  expect({ code, out: out.replaceAll(/\/\S*\/pipeops-release-\w+/g, 'SCRATCH') }).toEqual({
    code: 0,
    out: `release
create
v1.2.3
--verify-tag
--notes-file
SCRATCH/notes.md
SCRATCH/release-v1.2.3.tar
${release}/1.2.3/program.gz
- It runs.
./
./1.2.3/
./1.2.3/program.gz
./latest
Published release-v1.2.3.tar, program.gz
`,
  });
});
