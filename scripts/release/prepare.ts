/** Builds a release, without any secret: the same commit gives the same bytes everywhere. */
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { $ } from 'bun';
import type { ReleaseKeys } from '../../src/core/release-keys.ts';
import { installScriptWith } from '../../src/host/release/install-script.ts';
import { RELEASE_READER, type ReleaseFile } from '../../src/protocol/files/release.ts';
import { instant, jsonText, refuseWrongKeys } from './key-directory.ts';
import { buildPackages } from './packages.ts';
import { ReleaseProblem } from './problem.ts';
import { softwareBill } from './software-bill.ts';

const ROOT = join(import.meta.dir, '../..');
const DAY_MS = 86_400_000;

export interface Preparation {
  readonly out: string;
  /** The file of public keys that the program is built with, and what is in it. */
  readonly keysFile: string;
  readonly keys: ReleaseKeys;
  readonly isTest: boolean;
  readonly version: string;
  readonly channel: string;
  readonly minVersion: string;
  readonly targets: readonly string[];
  /** Packed as small as it gets. */
  readonly isSmall: boolean;
  /** Also as packages for apt and dnf, which needs Go. */
  readonly hasPackages: boolean;
  readonly days: number;
}

/** @returns the directory of the version. @throws ReleaseProblem */
export async function prepareRelease(wanted: Preparation): Promise<string> {
  refuseWrongKeys(wanted.keys, wanted.isTest);
  if (!wanted.isTest) {
    await refuseChangedSources();
  }
  const directory = join(wanted.out, wanted.version);
  if ((await readdir(directory).catch(() => [])).length > 0) {
    throw new ReleaseProblem(`${directory} is there already: a version is never made twice`);
  }
  const { commit, date } = await source();
  await mkdir(wanted.out, { recursive: true });
  const scratch = await mkdtemp(join(tmpdir(), 'pipeops-release-'));
  try {
    for (const target of wanted.targets) {
      await build(wanted, target, join(scratch, target));
    }
    const partial = `${directory}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const programs = await collect(scratch, wanted.targets, partial);
    if (wanted.hasPackages) {
      await packageAll(wanted, date, scratch, partial);
    }
    const about = { version: wanted.version, date };
    await Bun.write(join(partial, 'sbom.cdx.json'), jsonText(await softwareBill(ROOT, about)));
    const installScript = await Bun.file(join(ROOT, 'install.sh')).text();
    await Bun.write(join(partial, 'install.sh'), installScriptWith(installScript, wanted.keys));
    const files = await describeFiles(partial);
    await Bun.write(join(partial, 'SHA256SUMS'), sums([...programs, ...files]));
    const manifest = {
      v: RELEASE_READER,
      version: wanted.version,
      channel: wanted.channel,
      commit,
      released: instant(date),
      expires: instant(new Date(date.getTime() + wanted.days * DAY_MS)),
      min_version: wanted.minVersion,
      programs,
      files: await describeFiles(partial),
    };
    await Bun.write(join(partial, 'release.json'), jsonText(manifest));
    await rename(partial, directory);
    return directory;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The manifest names the commit: it must be all that is built. */
async function refuseChangedSources(): Promise<void> {
  const words = ['-c', 'safe.directory=*', 'status', '--porcelain'];
  const changed = await $`git ${words}`.cwd(ROOT).nothrow().quiet().text();
  if (changed !== '') {
    throw new ReleaseProblem(
      `These files are not in the commit: ${changed.trim().split('\n').join(', ')}`,
    );
  }
}

/** The commit and its time: what is built does not know when it was built. */
async function source(): Promise<{ readonly commit: string; readonly date: Date }> {
  // The clone may be somebody else's.
  const words = ['-c', 'safe.directory=*', 'show', '-s', '--format=%h:%ct', '--abbrev=12', 'HEAD'];
  const git = await $`git ${words}`.cwd(ROOT).nothrow().quiet().text();
  const [commit = '', seconds = ''] = git.trim().split(':');
  // reproducible-builds.org/specs/source-date-epoch
  const time = Bun.env['SOURCE_DATE_EPOCH'] ?? seconds;
  if (!/^\d+$/.test(time)) {
    throw new ReleaseProblem('When was this made? There is no git commit: set SOURCE_DATE_EPOCH');
  }
  return { commit: commit || 'unknown', date: new Date(Number(time) * 1_000) };
}

async function build(wanted: Preparation, target: string, out: string): Promise<void> {
  const flags = [
    ...['--target', target, '--version', wanted.version, '--out', out],
    ...['--release-keys', wanted.keysFile, ...(wanted.isSmall ? ['--release'] : [])],
  ];
  const ran = await $`${process.execPath} scripts/build.ts ${flags}`.cwd(ROOT).nothrow().quiet();
  if (ran.exitCode !== 0) {
    throw new ReleaseProblem(`The build failed: ${ran.stderr.toString().trim()}`);
  }
}

async function packageAll(
  { version, targets, isSmall }: Preparation,
  date: Date,
  scratch: string,
  directory: string,
): Promise<void> {
  for (const target of targets) {
    const program = join(scratch, target, `pipeops-agent-${target}`);
    await buildPackages({ program, version, target, date, isSmall }, directory);
  }
}

/** Moves what is downloaded into the release. @returns what the programs are, unpacked */
async function collect(
  scratch: string,
  targets: readonly string[],
  directory: string,
): Promise<readonly ReleaseFile[]> {
  const programs: ReleaseFile[] = [];
  for (const target of targets) {
    const program = `pipeops-agent-${target}`;
    programs.push(await describeFile(join(scratch, target), program));
    const names = await readdir(join(scratch, target));
    for (const name of names.filter((each) => each.startsWith(`${program}.`))) {
      // Another file system, maybe: not by rename.
      await Bun.write(join(directory, name), Bun.file(join(scratch, target, name)));
    }
  }
  return programs;
}

async function describeFiles(directory: string): Promise<readonly ReleaseFile[]> {
  const names = (await readdir(directory)).sort();
  return await Promise.all(names.map((name) => describeFile(directory, name)));
}

export async function describeFile(directory: string, name: string): Promise<ReleaseFile> {
  const file = Bun.file(join(directory, name));
  const hasher = new Bun.CryptoHasher('sha256');
  for await (const chunk of file.stream()) {
    hasher.update(chunk);
  }
  return { name, size: file.size, sha256: hasher.digest('hex') };
}

/** As sha256sum(1) reads it; it lists the programs too, unpacked, for installers that know no manifest. */
export function sums(files: readonly ReleaseFile[]): string {
  return files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');
}
