/**
 * k3s' uninstaller removes its data directory with all that is in it. What stood there before the
 * installation (images, snapshots, the data of an older k3s) is not ours to remove: it is noted
 * before, and meanwhile the directory has another name.
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
import { keepOriginal, originalOf } from '../engine/originals.ts';
import { systemctl } from '../engine/systemctl.ts';

/** Paths that are noted. Of what has more, whole directories are noted, and stay with all in them. */
const PATHS_MAX = 1_000;

interface NoteDeps {
  readonly files: Files;
  readonly places: Places;
}

interface Deps extends NoteDeps {
  readonly exec: Exec;
}

/** Before k3s is installed for the first time. */
export async function noteDataOfBefore(deps: NoteDeps): Promise<void> {
  if ((await deps.files.list(K3S_DATA_DIRECTORY)).length > 0) {
    const paths = await pathsIn(deps.files, K3S_DATA_DIRECTORY);
    await keepOriginal(deps, { kind: 'tree', name: K3S_DATA_DIRECTORY, paths: [...paths] });
  }
}

/** Of the paths that were noted, those that are still there, or were put aside. */
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
 * Runs what removes that directory. Afterwards what was noted stands there again, and nothing else. A
 * run that was killed leaves it aside, and the next one goes on.
 * @throws AgentError FILE_ACCESS where it cannot be put aside; what `remove` throws, and then all is
 *   there again
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
}

/** Nobody may write to it meanwhile. */
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
        // A mount point has no other name.
        hint:
          'Move what you want to keep to another place: k3s itself removes all that is in there. ' +
          'Then run the same command again',
        cause,
      },
    );
  }
}

/** The paths in a directory, as deep as they can be noted one by one. Links are not followed. */
async function pathsIn(files: Files, directory: string): Promise<ReadonlySet<string>> {
  const found = new Set([directory]);
  // A set is walked to its end, also over what is added meanwhile.
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

/** What k3s has added: all that is neither noted nor on the way to something that is. */
async function removeOthers(files: Files, noted: ReadonlySet<string>): Promise<void> {
  const ways = new Set<string>();
  for (const path of noted) {
    for (let at = dirname(path); at.startsWith(K3S_DATA_DIRECTORY); at = dirname(at)) {
      ways.add(at);
    }
  }
  const look = async (path: string): Promise<void> => {
    const aside = K3S_DATA_DIRECTORY_ASIDE + path.slice(K3S_DATA_DIRECTORY.length);
    if (noted.has(path)) {
      return;
    }
    if (ways.has(path)) {
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
