/**
 * What the pipeline of a release needs beside release.ts: `bun scripts/release/pipeline.ts`
 *   tag TAG              that the tag is the version in package.json, and that the changelog tells of it
 *   same DIR DIR         that two builds gave the same bytes
 *   keys --out DIR       writes the release key that the environment holds, as release.ts sign reads it
 *   publish TAG DIR      makes the page of the release, with the notes and all files (needs gh and its token)
 */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { $, Glob } from 'bun';
import { ReleaseProblem } from './problem.ts';

const ROOT = join(import.meta.dir, '../..');
const SECRET_MODE = 0o600;
/** Files of a keys directory, by the variable that holds their content. */
const KEY_FILES = {
  RELEASE_KEY_PEM: 'release.key.pem',
  RELEASE_KEY_JSON: 'release-key.json',
  RELEASE_KEY_JSON_SIG: 'release-key.json.sig',
} as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' } },
});
const [word = '', first = '', second = ''] = positionals;

async function checkTag(tag: string): Promise<string> {
  const { version } = await Bun.file(join(ROOT, 'package.json')).json();
  if (tag !== `v${version}`) {
    throw new ReleaseProblem(`The tag is ${tag}, but package.json has ${version}: tag v${version}`);
  }
  const notes = await $`${process.execPath} scripts/changelog.ts notes ${version}`
    .cwd(ROOT)
    .nothrow()
    .quiet();
  if (notes.exitCode !== 0) {
    throw new ReleaseProblem(
      `CHANGELOG.md does not tell of ${version}: bun scripts/changelog.ts release ${version}`,
    );
  }
  return notes.stdout.toString();
}

async function hashes(directory: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const path of [...new Glob('**/*').scanSync({ cwd: directory })].sort()) {
    const hasher = new Bun.CryptoHasher('sha256');
    for await (const chunk of Bun.file(join(directory, path)).stream()) {
      hasher.update(chunk);
    }
    found.set(path, hasher.digest('hex'));
  }
  return found;
}

async function checkSame(left: string, right: string): Promise<string> {
  const [one, other] = [await hashes(left), await hashes(right)];
  const paths = [...new Set([...one.keys(), ...other.keys()])];
  const different = paths.filter((path) => one.get(path) !== other.get(path));
  if (one.size === 0 || different.length > 0) {
    const what = one.size === 0 ? `There are no files in ${left}` : different.join(', ');
    throw new ReleaseProblem(`The two builds are not the same: ${what}`);
  }
  return `${one.size} files are the same`;
}

async function writeKeys(directory: string | undefined): Promise<string> {
  if (directory === undefined) {
    throw new ReleaseProblem('Give --out DIR');
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [variable, file] of Object.entries(KEY_FILES)) {
    const content = process.env[variable] ?? '';
    if (content === '') {
      throw new ReleaseProblem(
        `The environment has no ${variable}: docs/RELEASING.md says what it holds`,
      );
    }
    await writeFile(join(directory, file), `${content.trimEnd()}\n`, { mode: SECRET_MODE });
  }
  await copyFile(join(import.meta.dir, 'keys.json'), join(directory, 'keys.json'));
  return `The release key is in ${directory}`;
}

/** GitHub's pages of releases have no directories: the whole is one archive, and the programs lie beside it. */
async function publish(tag: string, directory: string): Promise<string> {
  const notes = await checkTag(tag);
  const scratch = await mkdtemp(join(tmpdir(), 'pipeops-release-'));
  try {
    const whole = join(scratch, `release-${tag}.tar`);
    await $`tar --create --file ${whole} --directory ${directory} .`;
    await Bun.write(join(scratch, 'notes.md'), notes);
    const files = [...new Glob(`${tag.slice(1)}/*`).scanSync({ cwd: directory })];
    const assets = [whole, ...files.map((path) => join(directory, path))];
    await $`gh release create ${tag} --verify-tag --notes-file ${scratch}/notes.md ${assets}`;
    return `Published ${assets.map((path) => basename(path)).join(', ')}`;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function main(): Promise<string> {
  switch (word) {
    case 'tag':
      await checkTag(first);
      return `${first} is ready to be released`;
    case 'same':
      return await checkSame(first, second);
    case 'keys':
      return await writeKeys(values.out);
    case 'publish':
      return await publish(first, second);
    default:
      throw new ReleaseProblem(
        'Usage: bun scripts/release/pipeline.ts tag TAG | same DIR DIR | keys --out DIR | publish TAG DIR',
      );
  }
}

try {
  console.log(await main());
} catch (error) {
  if (!(error instanceof ReleaseProblem)) {
    throw error;
  }
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}
