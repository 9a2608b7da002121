/**
 * The changelog: `bun scripts/changelog.ts check` (the entries in changes/ are well written),
 * `release VERSION [--date YYYY-MM-DD]` (moves them into CHANGELOG.md and sets the version in package.json),
 * `notes VERSION` (prints that version's part, for the page of the release).
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Glob } from 'bun';

const ENTRY_CHARS_MAX = 300;
const BREAKING = '**Changed:** ';
/** https://semver.org: releases and candidates; no build metadata. */
const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
const UNRELEASED = '## Unreleased\n';

interface Entry {
  /** `changes/a-name.md`. */
  readonly path: string;
  /** The sentence, on one line. */
  readonly text: string;
}

async function readEntries(root: string): Promise<readonly Entry[]> {
  const paths = [...new Glob('changes/*.md').scanSync({ cwd: root })];
  // Without the ".md", so that "install" stands before "install-undo".
  const names = paths.map((path) => path.slice(0, -'.md'.length)).sort();
  const entries: Entry[] = [];
  for (const name of names.filter((each) => each !== 'changes/README')) {
    const path = `${name}.md`;
    const text = (await Bun.file(join(root, path)).text()).trim().replaceAll(/\s+/g, ' ');
    entries.push({ path, text });
  }
  return entries;
}

function problemsOf({ path, text }: Entry): readonly string[] {
  const found = [
    ...(/^changes\/[a-z0-9]+(-[a-z0-9]+)*\.md$/.test(path)
      ? []
      : ['the name has other signs than a-z, 0-9 and -']),
    ...(text.endsWith('.') ? [] : ['does not end with a full stop']),
    ...(/[.!?] [A-Z`]/.test(text.slice(text.startsWith(BREAKING) ? BREAKING.length : 0))
      ? ['has more than one sentence']
      : []),
    ...(text.length > ENTRY_CHARS_MAX
      ? [`has ${text.length} characters, at most ${ENTRY_CHARS_MAX} are allowed`]
      : []),
  ];
  return found.map((problem) => `${path}: ${problem}`);
}

/** Breaking changes first, each group by the name of its file. */
function section(version: string, date: string, entries: readonly Entry[]): string {
  const breaking = entries.filter(({ text }) => text.startsWith(BREAKING));
  const others = entries.filter(({ text }) => !text.startsWith(BREAKING));
  const lines = [...breaking, ...others].map(({ text }) => `- ${text}\n`);
  return `## ${version} (${date})\n\n${lines.join('')}`;
}

async function release(root: string, version: string, date: string): Promise<void> {
  const entries = await readEntries(root);
  const path = join(root, 'CHANGELOG.md');
  const text = await Bun.file(path).text();
  const at = text.indexOf(UNRELEASED);
  if (at < 0) {
    throw new Error('Cannot find "## Unreleased" in CHANGELOG.md');
  }
  if (entries.length === 0) {
    throw new Error('Cannot release: changes/ has no entry');
  }
  const after = at + UNRELEASED.length;
  const rest = text.slice(after).trimStart();
  if (rest !== '' && !rest.startsWith('## ')) {
    throw new Error('Cannot release: move what stands under "## Unreleased" into changes/');
  }
  const next = [section(version, date, entries), rest].filter((part) => part !== '').join('\n');
  await Bun.write(path, `${text.slice(0, after)}\n${next}`);
  const manifestPath = join(root, 'package.json');
  const manifest = await Bun.file(manifestPath).text();
  await Bun.write(manifestPath, manifest.replace(/("version": )"[^"]*"/, `$1"${version}"`));
  for (const entry of entries) {
    await rm(join(root, entry.path));
  }
}

async function notes(root: string, version: string): Promise<string> {
  const text = await Bun.file(join(root, 'CHANGELOG.md')).text();
  const part = text.split(/^(?=## )/m).find((each) => each.startsWith(`## ${version} (`));
  if (part === undefined) {
    throw new Error(`Cannot find version ${version} in CHANGELOG.md`);
  }
  return part.slice(part.indexOf('\n')).trim();
}

function today(): string {
  return new Date().toISOString().slice(0, 'YYYY-MM-DD'.length);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      date: { type: 'string', default: today() },
      root: { type: 'string', default: join(import.meta.dir, '..') },
    },
  });
  const [word, version = ''] = positionals;
  const problems = (await readEntries(values.root)).flatMap(problemsOf);
  if (problems.length > 0) {
    throw new Error(`Cannot use the entries in changes/:\n${problems.join('\n')}`);
  }
  if (word === 'check') {
    return;
  }
  if (!VERSION.test(version)) {
    throw new Error(`Cannot use "${version}" as a version: write it like 1.2.3`);
  }
  switch (word) {
    case 'release':
      return await release(values.root, version, values.date);
    case 'notes':
      return console.log(await notes(values.root, version));
    default:
      throw new Error('Usage: bun scripts/changelog.ts check | release VERSION | notes VERSION');
  }
}

await main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
