/**
 * Builds the executable: `bun run build [--target linux-x64|linux-arm64]` (both when absent) into
 * dist/, each with a .gz and a .zst beside it, and dist/SHA256SUMS over all of them. `--release` packs it as small
 * as it gets and in each way that install.sh can unpack: minutes instead of seconds. It needs zstd and xz.
 * `--release-keys FILE`: by which keys it knows releases, if not by those of scripts/release/keys.json.
 * The same sources give the same bytes, wherever and whenever they are built.
 */

import { rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { $ } from 'bun';
import { buildPage } from './build-page.ts';
import { readKeysFile } from './release/key-directory.ts';

const ROOT = join(import.meta.dir, '..');
const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    version: { type: 'string' },
    out: { type: 'string' },
    release: { type: 'boolean' },
    'release-keys': { type: 'string', default: join(ROOT, 'scripts/release/keys.json') },
  },
});
/** Files of their own within the executable: the program, and what runs in threads beside it. */
const ENTRY_POINTS = ['src/main.ts', 'src/commands/apply/worker.ts'];
/** Tests build another version into another directory. */
const DIST = resolve(ROOT, values.out ?? 'dist');
const releaseKeys = await readKeysFile(resolve(values['release-keys']));
const version = values.version ?? (await Bun.file(join(ROOT, 'package.json')).json()).version;

/**
 * x64 is the baseline build: measured as fast as the modern one, and it starts on every x86-64
 * processor with SSE4.2 instead of ending in "Illegal instruction".
 */
const TARGETS = {
  'linux-x64': 'bun-linux-x64-baseline',
  'linux-arm64': 'bun-linux-arm64',
} as const;
type Target = keyof typeof TARGETS;

/** In place of zstd(1), which not every machine has that builds. */
const ZSTD_OF_BUN =
  'const file = Bun.file(process.argv.at(-1)); ' +
  'await Bun.write(Bun.stdout, Bun.zstdCompressSync(await file.bytes(), { level: 1 }));';

/**
 * How the executable is packed, by the end of the file's name. Not xz -T0: with one processor it would
 * pack in one block, and so give other bytes.
 */
const PACKINGS: Readonly<Record<string, readonly string[]>> =
  values.release === true
    ? { gz: ['gzip', '-9nc'], zst: ['zstd', '-19', '-T0', '-qc'], xz: ['xz', '-6', '-T2', '-c'] }
    : { gz: ['gzip', '-1nc'], zst: [process.execPath, '-e', ZSTD_OF_BUN] };

function isTarget(name: string): name is Target {
  return Object.hasOwn(TARGETS, name);
}

/** What stands in the executable beside the sources. */
interface Contents {
  readonly commit: string;
  readonly committedAt: string;
  /** Paths of the files of the page. */
  readonly page: readonly string[];
}

async function build(target: Target, { commit, committedAt, page }: Contents): Promise<string> {
  const name = `pipeops-agent-${target}`;
  // The name of the output is part of the executable's content: same name, same checksum.
  const outfile = join(DIST, name);
  const flags = [
    '--compile',
    `--target=${TARGETS[target]}`,
    '--format=esm',
    '--bytecode',
    // Lazy imports stay files of their own: `version` need not read the rest.
    '--splitting',
    // Not identifiers: error names in logs would become one letter.
    '--minify-whitespace',
    '--minify-syntax',
    '--sourcemap',
    // Most of what a start or an idle daemon runs is not worth compiling; at work it is made eager
    // (src/daemon/idle-memory.ts).
    '--compile-jit-policy=16',
    '--define',
    `BUILD_VERSION=${JSON.stringify(version)}`,
    '--define',
    `BUILD_COMMIT=${JSON.stringify(commit)}`,
    '--define',
    `BUILD_COMMITTED_AT=${JSON.stringify(committedAt)}`,
    '--define',
    `BUILD_RELEASE_KEYS=${JSON.stringify(releaseKeys)}`,
    // Without these two, a bunfig.toml or .env in the current directory runs code as root.
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    '--reject-unresolved',
    // Where the program finds its parts, whatever else is put into the executable.
    `--root=${join(ROOT, 'src')}`,
    '--asset-naming=page/[name].[ext]',
    // An authority that the machine trusts is trusted: a company's, behind which all traffic goes.
    '--compile-exec-argv=--use-system-ca',
  ];
  const entries = ENTRY_POINTS.map((file) => join(ROOT, file));
  await $`${process.execPath} build ${flags} ${entries} ${page} --outfile ${outfile}`
    .cwd(ROOT)
    .quiet();
  // The maps are inside the executable; the copies beside it serve nobody.
  await $`find ${DIST} -name ${'*.map'} -delete`;
  for (const [suffix, command] of Object.entries(PACKINGS)) {
    const packed = `${outfile}.${suffix}`;
    await $`${command} ${outfile} > ${packed}.partial`;
    await rename(`${packed}.partial`, packed);
  }
  return name;
}

async function writeChecksums(names: readonly string[]): Promise<void> {
  const lines: string[] = [];
  const suffixes = Object.keys(PACKINGS);
  const packed = (name: string) => suffixes.map((suffix) => `${name}.${suffix}`);
  for (const file of names.flatMap((name) => [name, ...packed(name)])) {
    const hasher = new Bun.CryptoHasher('sha256');
    for await (const chunk of Bun.file(join(DIST, file)).stream()) {
      hasher.update(chunk);
    }
    lines.push(`${hasher.digest('hex')}  ${file}\n`);
  }
  await Bun.write(join(DIST, 'SHA256SUMS'), lines.join(''));
}

const targets = values.target === undefined ? Object.keys(TARGETS) : [values.target];
const commit = (await $`git rev-parse --short=12 HEAD`.cwd(ROOT).nothrow().quiet().text()).trim();
// Of the commit, not of the build: the same source gives the same bytes.
const committedAt = (
  await $`git log -1 --format=%cI HEAD`.cwd(ROOT).nothrow().quiet().text()
).trim();
const page = await buildPage(join(DIST, 'page'));
const built: string[] = [];
for (const target of targets) {
  if (!isTarget(target)) {
    console.error(`Unknown target "${target}". Known: ${Object.keys(TARGETS).join(', ')}`);
    process.exit(2);
  }
  process.stderr.write(`Building ${target}\n`);
  built.push(await build(target, { commit: commit || 'unknown', committedAt, page }));
}
await rm(join(DIST, 'SHA256SUMS'), { force: true });
await writeChecksums(built);
for (const name of built) {
  console.log(join('dist', name));
}
