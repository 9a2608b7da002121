/** What a release directory must be before it is signed, and after. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { $ } from 'bun';
import type { ReleaseKeys } from '../../src/core/release-keys.ts';
import { compareVersions } from '../../src/core/text/compare-versions.ts';
import { installScriptWith } from '../../src/host/release/install-script.ts';
import {
  RELEASE_FILE_NAMES,
  type ReleaseFile,
  ReleaseManifest,
} from '../../src/protocol/files/release.ts';
import { TEST_PURPOSE } from './key-directory.ts';
import { describeFile, sums } from './prepare.ts';
import { ReleaseProblem } from './problem.ts';

const INSTALL_SH = join(import.meta.dir, '../../install.sh');
/** How the kinds of packed programs are unpacked. */
const UNPACKERS: Readonly<Record<string, readonly string[]>> = {
  gz: ['gzip', '-dc'],
  zst: ['zstd', '-dqc'],
  xz: ['xz', '-dc'],
};

/** The versions in a release directory, the newest first. */
export async function versionsIn(directory: string): Promise<readonly string[]> {
  const versions: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (await Bun.file(join(directory, name, RELEASE_FILE_NAMES.manifest)).exists()) {
      versions.push(name);
    }
  }
  if (versions.length === 0) {
    throw new ReleaseProblem(
      `There is no release in ${directory}: release.ts prepare --out ${directory}`,
    );
  }
  return versions.sort((a, b) => compareVersions(b, a));
}

export async function manifestIn(directory: string): Promise<ReleaseManifest> {
  const text = await Bun.file(join(directory, RELEASE_FILE_NAMES.manifest)).text();
  const parsed = ReleaseManifest.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new ReleaseProblem(
      `${directory}: its manifest is wrong: ${parsed.error.issues[0]?.message}`,
    );
  }
  return parsed.data;
}

/**
 * Compares all that one version consists of with its manifest, unpacks each program, and looks for the keys
 * inside.
 * @throws ReleaseProblem
 */
export async function checkContent(
  directory: string,
  manifest: ReleaseManifest,
  keys: ReleaseKeys,
): Promise<void> {
  const signedNames: readonly string[] = Object.values(RELEASE_FILE_NAMES);
  const found = (await readdir(directory)).filter((name) => !signedNames.includes(name));
  const listed = manifest.files.map(({ name }) => name);
  const differing = found.filter((name) => !listed.includes(name));
  if (differing.length > 0) {
    throw new ReleaseProblem(`${directory}: not in the manifest: ${differing.join(', ')}`);
  }
  for (const file of manifest.files) {
    if (!found.includes(file.name)) {
      throw new ReleaseProblem(`${directory}: ${file.name} is missing`);
    }
    refuseOther(directory, file, await describeFile(directory, file.name));
  }
  const sumsFile = await Bun.file(join(directory, 'SHA256SUMS')).text();
  const others = manifest.files.filter(({ name }) => name !== 'SHA256SUMS');
  if (sumsFile !== sums([...manifest.programs, ...others])) {
    throw new ReleaseProblem(`${directory}: SHA256SUMS does not fit the manifest`);
  }
  for (const program of manifest.programs) {
    await checkProgram(directory, program, listed, keys);
  }
  await checkInstallScript(join(directory, 'install.sh'), keys);
}

/** @throws ReleaseProblem */
export async function checkInstallScript(path: string, keys: ReleaseKeys): Promise<void> {
  const text = await Bun.file(path).text();
  const own = installScriptWith(await Bun.file(INSTALL_SH).text(), keys);
  const keyLines = (script: string) => script.match(/^RELEASE_[A-Z_]+=.*$/gm)?.join('\n');
  if (keyLines(text) !== keyLines(own)) {
    throw new ReleaseProblem(`${path}: its keys are not those of the release`);
  }
}

async function checkProgram(
  directory: string,
  program: ReleaseFile,
  listed: readonly string[],
  keys: ReleaseKeys,
): Promise<void> {
  const packed = listed.filter((name) => name.startsWith(`${program.name}.`));
  if (!packed.includes(`${program.name}.gz`)) {
    throw new ReleaseProblem(
      `${directory}: there is no ${program.name}.gz, which every machine can unpack`,
    );
  }
  for (const name of packed) {
    const unpacker = UNPACKERS[name.slice(program.name.length + 1)];
    if (unpacker === undefined) {
      throw new ReleaseProblem(`${directory}: nothing unpacks ${name}`);
    }
    const bytes = Buffer.from(await $`${unpacker} ${join(directory, name)}`.quiet().arrayBuffer());
    const sha256 = new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
    refuseOther(directory, program, { name, size: bytes.length, sha256 });
    checkKeysInside(name, bytes, keys);
  }
}

/** What machines will trust is compiled into the program, whatever a file beside it says. */
function checkKeysInside(name: string, program: Buffer, { roots, purpose }: ReleaseKeys): void {
  const missing = roots.filter((root) => !program.includes(root));
  if (missing.length > 0) {
    throw new ReleaseProblem(`${name} was built without the root key ${missing[0]}`);
  }
  if (purpose !== TEST_PURPOSE && program.includes(TEST_PURPOSE)) {
    throw new ReleaseProblem(`${name} was built with keys for tests`);
  }
}

function refuseOther(directory: string, wanted: ReleaseFile, found: ReleaseFile): void {
  if (found.size !== wanted.size || found.sha256 !== wanted.sha256) {
    throw new ReleaseProblem(
      `${directory}: ${found.name} is not what the manifest says of ${wanted.name}`,
    );
  }
}
