/** The release before this one, built from its commit: this one must get on with what it writes and reads. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce } from './cache.ts';
import { type CommandOptions, runCommand } from './host-command.ts';
import type { Tell } from './progress.ts';

/**
 * The only place that says which one. It becomes the tag's commit with each release; before the first it is
 * the last one whose readers refused what they did not know.
 */
export const PREVIOUS_RELEASE_COMMIT = '4c26b809cf05bf1cf572880f1efdf6e898697d17';

const ROOT = join(import.meta.dir, '..', '..');
/** Packages come from the network, and a build says nothing for a while. */
const SILENCE_MS = 600_000;

export interface PreviousRelease {
  /** What it calls itself. */
  readonly version: string;
  readonly executable: string;
}

/** Builds it once, by its own scripts: half a minute, then it stands in the cache. */
export async function previousRelease(tell?: Tell): Promise<PreviousRelease> {
  const name = `pipeops-agent-linux-${process.arch}`;
  const version = `0.0.1-${PREVIOUS_RELEASE_COMMIT.slice(0, 7)}`;
  const build = async (directory: string, say: Tell) => {
    const sources = join(directory, 'sources');
    say('its sources');
    await sourcesOf(ROOT, PREVIOUS_RELEASE_COMMIT, sources);
    const options: CommandOptions = { cwd: sources, silenceMs: SILENCE_MS };
    say('its Bun and packages');
    const { stdout } = await runCommand(['sh', 'scripts/setup.sh'], options);
    const bun = stdout.trim().split('\n').at(-1) ?? '';
    say('its executable');
    const target = ['--target', `linux-${process.arch}`, '--version', version];
    await runCommand([bun, 'scripts/build.ts', ...target], options);
    await rename(join(sources, 'dist', name), join(directory, name));
    await rm(sources, { recursive: true });
  };
  const cached = join('previous-release', `${PREVIOUS_RELEASE_COMMIT}-${process.arch}`);
  return { version, executable: join(await buildOnce(cached, build, tell), name) };
}

/**
 * Writes the files of a commit into a directory.
 * @throws Error that says what to do where the clone does not hold it
 */
export async function sourcesOf(
  repository: string,
  commit: string,
  directory: string,
): Promise<void> {
  // Tests are root; the clone may be somebody else's.
  const git = ['git', '-c', 'safe.directory=*', '-C', repository];
  const found = await runCommand([...git, 'cat-file', '-e', `${commit}^{commit}`], {
    check: false,
  });
  if (found.exitCode !== 0) {
    throw new Error(
      `Cannot build the release before this one: commit ${commit} is not in ${repository}. ` +
        'A shallow clone lacks it: git fetch --unshallow (in CI: fetch-depth: 0). ' +
        `git says: ${found.stderr.trim() || 'nothing'}`,
    );
  }
  await mkdir(directory, { recursive: true });
  const archive = join(directory, 'sources.tar');
  await runCommand([...git, 'archive', '--format=tar', `--output=${archive}`, commit]);
  await runCommand(['tar', '-xf', archive, '-C', directory]);
  await rm(archive);
}
