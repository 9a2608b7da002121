/** A signed release of the present sources, as scripts/release.ts makes it, with keys for tests. */
import { chmod, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { $, Glob } from 'bun';
import { buildOnce, cacheDirectory, contentHash } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const ROOT = join(import.meta.dir, '../..');
const CACHE = 'test-release';
const TARGET = `linux-${process.arch}`;
/** What goes into a release. */
const SOURCES = '{src,scripts,systemd}/**/*,install.sh,package.json,bun.lock'.split(/,(?![^{]*\})/);
const STEP_TIMEOUT_MS = 300_000;
/** Older ones are of sources that nobody runs any more. */
const KEPT_MS = 24 * 3_600_000;

export interface TestRelease {
  /** In the shape that install.sh and programs ask for. */
  readonly directory: string;
  /** The newest version, and its program, unpacked. */
  readonly version: string;
  readonly program: string;
  /** Private keys and all: to sign what a test changes. */
  readonly keysDirectory: string;
}

/**
 * Made once of the same sources: some seconds.
 * @param older further versions of the same program, which call themselves so
 */
export async function testRelease(older: readonly string[] = []): Promise<TestRelease> {
  const version = (await Bun.file(join(ROOT, 'package.json')).json()).version;
  const name = join(CACHE, contentHash([...(await sources()), ...older]));
  await forgetOld();
  const made = await buildOnce(name, async (directory) => {
    const [keys, out] = [join(directory, 'keys'), join(directory, 'release')];
    await release('keys', '--test', '--out', keys);
    for (const each of [...older, version]) {
      const how = [
        '--quick',
        '--no-packages',
        '--target',
        TARGET,
        '--release-keys',
        join(keys, 'keys.json'),
      ];
      await release('prepare', '--test', ...how, '--version', each, '--out', out);
    }
    await release('sign', '--test', '--keys', keys, '--out', out);
    const program = join(directory, 'pipeops-agent');
    await $`gzip -dc ${join(out, version, `pipeops-agent-${TARGET}.gz`)} > ${program}`.quiet();
    await chmod(program, 0o755);
  });
  return {
    directory: join(made, 'release'),
    version,
    program: join(made, 'pipeops-agent'),
    keysDirectory: join(made, 'keys'),
  };
}

async function release(...words: readonly string[]): Promise<void> {
  await runCommand([process.execPath, 'scripts/release.ts', ...words], {
    cwd: ROOT,
    timeoutMs: STEP_TIMEOUT_MS,
  });
}

/** Names and contents, and the commit, which is in the program. */
async function sources(): Promise<readonly string[]> {
  const words = ['-c', 'safe.directory=*', 'rev-parse', 'HEAD'];
  const parts = [await $`git ${words}`.cwd(ROOT).nothrow().quiet().text()];
  for (const pattern of SOURCES) {
    const paths = await Array.fromAsync(new Glob(pattern).scan({ cwd: ROOT }));
    for (const path of paths.sort()) {
      parts.push(path, await Bun.file(join(ROOT, path)).text());
    }
  }
  return parts;
}

async function forgetOld(): Promise<void> {
  const directory = join(cacheDirectory(), CACHE);
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > KEPT_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}
