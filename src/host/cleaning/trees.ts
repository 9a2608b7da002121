/** Directories that go with all that is in them, but for some of it. */
import type { Files } from '../../core/ports.ts';
import { realPlace } from '../engine/real-path.ts';
import { mountPoints } from './mounts.ts';

/**
 * Removes a directory with all that is in it. What is kept stays with the directories above it, and so
 * does a mount point, which is emptied: the file system in it is somebody's.
 * @param kept paths, whole; they and the path itself may go through links
 */
export async function removeBut(
  files: Files,
  path: string,
  kept: readonly string[] = [],
): Promise<void> {
  const place = await realPlace(files, path);
  const inPath = (real: string) => (isIn(real, place) ? [path + real.slice(place.length)] : []);
  const mounts = (await mountPoints(files)).flatMap(inPath);
  const keptPlaces = await Promise.all(kept.map((each) => realPlace(files, each)));
  // As they are written as well: a link in the directory that leads to one of them stays.
  await removeIn(files, path, [...kept, ...keptPlaces.flatMap(inPath)], mounts);
}

async function removeIn(
  files: Files,
  path: string,
  kept: readonly string[],
  mounts: readonly string[],
): Promise<void> {
  if (kept.includes(path)) {
    return;
  }
  const stat = await files.stat(path);
  if (stat?.kind !== 'directory') {
    if (!kept.some((each) => isIn(each, path))) {
      await files.remove(path);
    }
    return;
  }
  if (![...kept, ...mounts].some((each) => isIn(each, path))) {
    await files.removeTree(path);
    return;
  }
  for (const name of await files.list(path)) {
    await removeIn(files, `${path}/${name}`, kept, mounts);
  }
  if (!mounts.includes(path)) {
    await files.removeEmptyDirectory(path);
  }
}

function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
