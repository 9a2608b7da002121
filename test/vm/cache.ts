/** Where slow things are kept between runs, and making each of them once. */

import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { takeLock } from './file-lock.ts';

/** How long to wait for another run that makes the same thing: a cold k3s build is the slowest. */
const BUILD_WAIT_SECONDS = 1_800;

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
 * complete: a killed build leaves nothing that looks finished. Only one process builds at a time.
 */
export async function buildOnce(
  name: string,
  build: (directory: string) => Promise<void>,
): Promise<string> {
  const final = join(cacheDirectory(), name);
  if (await exists(final)) {
    return final;
  }
  await using lock = await takeLock(`${final}.lock`, BUILD_WAIT_SECONDS);
  if (lock === undefined) {
    throw new Error(`Cannot make '${final}': another process has '${final}.lock'`);
  }
  if (await exists(final)) {
    return final;
  }
  const partial = `${final}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await build(partial);
  await rename(partial, final);
  return final;
}
