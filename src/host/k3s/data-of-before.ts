/**
 * k3s' data directory goes with k3s. What stood there before the installation (images, snapshots, the
 * data of an older k3s) must stay, so it is noted before k3s is installed.
 */
import { dirname } from 'node:path';
import { K3S_DATA_DIRECTORY, K3S_VOLUMES_DIRECTORY } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { Original } from '../../protocol/files/host-state.ts';
import { keepOriginal, originalOf } from '../engine/originals.ts';

/** At most so many paths are noted. Beyond that a directory is noted, and kept, as a whole. */
const PATHS_MAX = 1_000;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

type Directory = Extract<Original, { kind: 'tree' }>['directories'][number];

/** To be called before k3s is installed for the first time. */
export async function noteDataOfBefore(deps: Deps): Promise<void> {
  const isEmpty = (await deps.files.list(K3S_DATA_DIRECTORY)).length === 0;
  const all = isEmpty ? [] : await pathsIn(deps.files, K3S_DATA_DIRECTORY);
  // Data of volumes has a rule of its own, whoever has made it: --delete-data.
  const paths = [...all].filter((path) => !`${path}/`.startsWith(`${K3S_VOLUMES_DIRECTORY}/`));
  if (paths.length === 0) {
    return;
  }
  const directories: Directory[] = [];
  for (const name of parentsOf(paths)) {
    const stat = await deps.files.stat(name);
    if (stat !== undefined) {
      directories.push({ name, mode: stat.mode, uid: stat.uid, gid: stat.gid });
    }
  }
  await keepOriginal(deps, { kind: 'tree', name: K3S_DATA_DIRECTORY, paths, directories });
}

/** The noted paths that still exist. */
export async function dataOfBefore(deps: Deps): Promise<readonly string[]> {
  const original = await originalOf(deps, K3S_DATA_DIRECTORY);
  const paths = original?.kind === 'tree' ? original.paths : [];
  const found: string[] = [];
  for (const path of paths) {
    if ((await deps.files.stat(path)) !== undefined) {
      found.push(path);
    }
  }
  return found;
}

/** k3s changes the modes of directories that it finds. */
export async function restoreAccess(deps: Deps): Promise<void> {
  const original = await originalOf(deps, K3S_DATA_DIRECTORY);
  for (const { name, mode, uid, gid } of original?.kind === 'tree' ? original.directories : []) {
    if ((await deps.files.stat(name))?.kind === 'directory') {
      await deps.files.claimDirectory(name, { mode, owner: `${uid}:${gid}` });
    }
  }
}

/** The paths in a directory, as far down as the limit allows. Does not follow links. */
async function pathsIn(files: Files, directory: string): Promise<ReadonlySet<string>> {
  const found = new Set([directory]);
  // This also visits the paths that are added on the way.
  for (const path of found) {
    const isDirectory = (await files.stat(path))?.kind === 'directory';
    const names = isDirectory ? await files.list(path) : [];
    if (names.length > 0 && found.size - 1 + names.length <= PATHS_MAX) {
      found.delete(path);
      for (const name of names) {
        found.add(`${path}/${name}`);
      }
    }
  }
  return found;
}

/** The directories above these paths, up to the data directory itself. */
function parentsOf(paths: readonly string[]): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const path of paths) {
    for (let at = dirname(path); at.startsWith(K3S_DATA_DIRECTORY); at = dirname(at)) {
      parents.add(at);
    }
  }
  return parents;
}
