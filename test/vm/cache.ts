/** Where slow things are kept between runs, and making each of them once. */

import { writeFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type FileLock, takeLock } from './file-lock.ts';
import type { Tell } from './progress.ts';

/** How long to wait for another run that makes the same thing: a cold k3s build is the slowest. */
const BUILD_WAIT_MS = 2 * 3_600_000;
/** Between two looks at what that run says. */
const LOOK_SECONDS = 2;

/** Hex digits of a content hash in a name: enough to tell recipes apart, short enough to read. */
const HASH_DIGITS = 16;

/** Outside the tree: `$XDG_CACHE_HOME/pipeops-agent-test`, `~/.cache/…` by default. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'pipeops-agent-test');
}

/** A short name for what something is made of. */
export function contentHash(parts: readonly string[]): string {
  const hasher = new Bun.CryptoHasher('sha256');
  for (const part of parts) {
    hasher.update(`${part.length}:`).update(part);
  }
  return hasher.digest('hex').slice(0, HASH_DIGITS);
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * The directory `name` in the cache; `build` fills a temporary one, which is renamed when it is
 * complete: a killed build leaves nothing that looks finished. Only one process builds at a time;
 * the others say what it says.
 */
export async function buildOnce(
  name: string,
  build: (directory: string, tell: Tell) => Promise<void>,
  tell: Tell = () => undefined,
): Promise<string> {
  const final = join(cacheDirectory(), name);
  if (await exists(final)) {
    return final;
  }
  const newsFile = `${final}.news`;
  await using _ = await lockOf(final, newsFile, tell);
  if (await exists(final)) {
    return final;
  }
  const partial = `${final}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await build(partial, (news) => {
    tell(news);
    writeFileSync(newsFile, news);
  });
  await rename(partial, final);
  await rm(newsFile, { force: true });
  return final;
}

/** Waits for another run that makes the same thing. */
async function lockOf(final: string, newsFile: string, tell: Tell): Promise<FileLock> {
  const path = `${final}.lock`;
  const until = performance.now() + BUILD_WAIT_MS;
  for (let seconds = 0; performance.now() < until; seconds = LOOK_SECONDS) {
    const lock = await takeLock(path, seconds);
    if (lock !== undefined) {
      return lock;
    }
    const news = await readFile(newsFile, 'utf8').catch(() => '');
    tell(`another run makes it${news === '' ? '' : `: ${news}`}`);
  }
  throw new Error(`Cannot make '${final}': another process has '${path}'`);
}
