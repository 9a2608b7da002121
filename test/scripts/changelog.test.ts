import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPT = join(import.meta.dir, '../../scripts/changelog.ts');
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'changelog-'));
  await Bun.write(join(root, 'package.json'), '{\n  "name": "x",\n  "version": "0.1.0"\n}\n');
  await Bun.write(
    join(root, 'CHANGELOG.md'),
    '# Changelog\n\n## Unreleased\n\n## 0.1.0 (2026-01-02)\n\n- First.\n',
  );
  await Bun.write(join(root, 'changes/README.md'), 'No entry. It has two sentences.\n');
});

afterEach(async () => await rm(root, { recursive: true }));

async function changelog(...args: readonly string[]) {
  const child = Bun.spawn([process.execPath, SCRIPT, ...args, '--root', root], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

test("the project's own entries are well written", async () => {
  const child = Bun.spawn([process.execPath, SCRIPT, 'check'], { stderr: 'pipe' });
  expect({ err: await child.stderr.text(), code: await child.exited }).toEqual({
    err: '',
    code: 0,
  });
});

test('a release moves the entries into the changelog, breaking ones first, then by name', async () => {
  await Bun.write(join(root, 'changes/faster-start.md'), 'The daemon starts\ntwice as fast.\n');
  await Bun.write(join(root, 'changes/faster.md'), 'The agent is faster.\n');
  await Bun.write(join(root, 'changes/no-guess.md'), '**Changed:** `join` asks no more.\n');
  expect(await changelog('release', '0.2.0', '--date', '2026-02-03')).toEqual({
    code: 0,
    out: '',
    err: '',
  });
  expect(await Bun.file(join(root, 'CHANGELOG.md')).text()).toBe(
    `# Changelog

## Unreleased

## 0.2.0 (2026-02-03)

- **Changed:** \`join\` asks no more.
- The agent is faster.
- The daemon starts twice as fast.

## 0.1.0 (2026-01-02)

- First.
`,
  );
  expect(await Bun.file(join(root, 'package.json')).json()).toEqual({
    name: 'x',
    version: '0.2.0',
  });
  expect(await readdir(join(root, 'changes'))).toEqual(['README.md']);
  expect(await changelog('notes', '0.2.0')).toEqual({
    code: 0,
    out: '- **Changed:** `join` asks no more.\n- The agent is faster.\n- The daemon starts twice as fast.\n',
    err: '',
  });
});

test('an entry is one sentence, ends, and is short', async () => {
  await Bun.write(join(root, 'changes/two.md'), 'One thing. Another thing.\n');
  await Bun.write(join(root, 'changes/Endless_1.md'), `${'long '.repeat(80)}\n`);
  expect(await changelog('release', '0.2.0')).toEqual({
    code: 1,
    out: '',
    err: `Cannot use the entries in changes/:
changes/Endless_1.md: the name has other signs than a-z, 0-9 and -
changes/Endless_1.md: does not end with a full stop
changes/Endless_1.md: has 399 characters, at most 300 are allowed
changes/two.md: has more than one sentence
`,
  });
});

test('what is no version, and a release without changes, are refused', async () => {
  expect(await changelog('release', 'v1')).toEqual({
    code: 1,
    out: '',
    err: 'Cannot use "v1" as a version: write it like 1.2.3\n',
  });
  expect(await changelog('release', '0.2.0')).toEqual({
    code: 1,
    out: '',
    err: 'Cannot release: changes/ has no entry\n',
  });
  await Bun.write(join(root, 'changes/a.md'), 'A change.\n');
  await Bun.write(join(root, 'CHANGELOG.md'), '## Unreleased\n\n- Written here.\n');
  expect(await changelog('release', '0.2.0')).toEqual({
    code: 1,
    out: '',
    err: 'Cannot release: move what stands under "## Unreleased" into changes/\n',
  });
  expect(await changelog('notes', '9.9.9')).toEqual({
    code: 1,
    out: '',
    err: 'Cannot find version 9.9.9 in CHANGELOG.md\n',
  });
});
