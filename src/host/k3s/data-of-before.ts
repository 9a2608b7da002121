/**
 * k3s' uninstaller removes its data directory with all that is in it. What stood there before the
 * installation must stay: images, snapshots, the data of an older k3s. So it is noted before k3s is
 * installed, and the directory has another name while the uninstaller runs.
 */
import { dirname } from 'node:path';
import { AgentError, expectedError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_DATA_DIRECTORY_ASIDE,
  K3S_UNITS,
  type K3sRole,
  k3sUnitFile,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { Original } from '../../protocol/files/host-state.ts';
import { keepOriginal, originalOf } from '../engine/originals.ts';
import { systemctl } from '../engine/systemctl.ts';

/** At most so many paths are noted. Beyond that a directory is noted, and kept, as a whole. */
const PATHS_MAX = 1_000;

interface NoteDeps {
  readonly files: Files;
  readonly places: Places;
}

type Directory = Extract<Original, { kind: 'tree' }>['directories'][number];

interface Deps extends NoteDeps {
  readonly exec: Exec;
}

/** To be called before k3s is installed for the first time. */
export async function noteDataOfBefore(deps: NoteDeps): Promise<void> {
  if ((await deps.files.list(K3S_DATA_DIRECTORY)).length > 0) {
    const paths = await pathsIn(deps.files, K3S_DATA_DIRECTORY);
    const directories: Directory[] = [];
    for (const name of parentsOf(paths)) {
      const stat = await deps.files.stat(name);
      if (stat !== undefined) {
        directories.push({ name, mode: stat.mode, uid: stat.uid, gid: stat.gid });
      }
    }
    const noted = { paths: [...paths], directories };
    await keepOriginal(deps, { kind: 'tree', name: K3S_DATA_DIRECTORY, ...noted });
  }
}

/** The noted paths that still exist, in their place or put aside. */
export async function dataOfBefore(deps: NoteDeps): Promise<readonly string[]> {
  const original = await originalOf(deps, K3S_DATA_DIRECTORY);
  const paths = original?.kind === 'tree' ? original.paths : [];
  const isAside = (await deps.files.stat(K3S_DATA_DIRECTORY_ASIDE)) !== undefined;
  const found: string[] = [];
  for (const path of paths) {
    if (isAside || (await deps.files.stat(path)) !== undefined) {
      found.push(path);
    }
  }
  return found;
}

/**
 * Runs the given removal. Afterwards the noted paths are there again, and nothing else. If this run is
 * killed, the next one continues.
 * @throws AgentError FILE_ACCESS when the directory cannot be put aside; what `remove` throws, after
 *   everything was put back
 */
export async function keepingDataOfBefore(
  deps: Deps,
  role: K3sRole,
  remove: () => Promise<void>,
): Promise<void> {
  const { files } = deps;
  const noted = await dataOfBefore(deps);
  if (noted.length === 0) {
    await remove();
    return;
  }
  if ((await files.stat(K3S_DATA_DIRECTORY_ASIDE)) === undefined) {
    await putAside(deps, role);
  }
  try {
    await remove();
    await removeOthers(files, new Set(noted));
  } finally {
    await files.removeTree(K3S_DATA_DIRECTORY);
    await files.rename(K3S_DATA_DIRECTORY_ASIDE, K3S_DATA_DIRECTORY);
  }
  await restoreAccess(deps);
}

/** k3s changes the modes of directories that it finds. */
async function restoreAccess(deps: Deps): Promise<void> {
  const original = await originalOf(deps, K3S_DATA_DIRECTORY);
  for (const { name, mode, uid, gid } of original?.kind === 'tree' ? original.directories : []) {
    if ((await deps.files.stat(name))?.kind === 'directory') {
      await deps.files.claimDirectory(name, { mode, owner: `${uid}:${gid}` });
    }
  }
}

/** Stops k3s first, because nobody may write to the directory now. */
async function putAside(deps: Deps, role: K3sRole): Promise<void> {
  if ((await deps.files.stat(k3sUnitFile(role))) !== undefined) {
    await systemctl(deps, 'stop', K3S_UNITS[role]);
  }
  try {
    await deps.files.rename(K3S_DATA_DIRECTORY, K3S_DATA_DIRECTORY_ASIDE);
  } catch (thrown) {
    const cause = expectedError(thrown);
    throw new AgentError(
      cause.code,
      `Cannot keep what was in ${K3S_DATA_DIRECTORY} before the installation: ${cause.message}`,
      {
        // A mount point cannot be renamed.
        hint:
          'Move what you want to keep to another place: k3s itself removes all that is in there. ' +
          'Then run the same command again',
        cause,
      },
    );
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

/** Removes what k3s has added: all that is neither noted nor a parent of something noted. */
async function removeOthers(files: Files, noted: ReadonlySet<string>): Promise<void> {
  const parents = parentsOf(noted);
  const look = async (path: string): Promise<void> => {
    const aside = K3S_DATA_DIRECTORY_ASIDE + path.slice(K3S_DATA_DIRECTORY.length);
    if (noted.has(path)) {
      return;
    }
    if (parents.has(path)) {
      for (const name of await files.list(aside)) {
        await look(`${path}/${name}`);
      }
    } else if ((await files.stat(aside))?.kind === 'directory') {
      await files.removeTree(aside);
    } else {
      await files.remove(aside);
    }
  };
  await look(K3S_DATA_DIRECTORY);
}

/** The directories above these paths, up to the data directory itself. */
function parentsOf(paths: ReadonlySet<string>): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const path of paths) {
    for (let at = dirname(path); at.startsWith(K3S_DATA_DIRECTORY); at = dirname(at)) {
      parents.add(at);
    }
  }
  return parents;
}
