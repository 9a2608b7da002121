import { dirname, join } from 'node:path';
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { isUnfinishedFile } from '../../core/unfinished-file.ts';
import type { HostInventory } from './inventory.ts';
import { allOriginals } from './originals.ts';
import type { Resource } from './resource.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

const WRITTEN_KINDS: readonly string[] = ['file', 'link', 'unit'];

/**
 * Removes what a run that was killed has left beside the files that it wrote. Only while nobody else
 * writes them. What is in a directory of ours goes with that.
 * @throws AgentError FILE_ACCESS
 */
export async function removeUnfinishedFiles(
  deps: Deps,
  resources: readonly Resource[],
  inventory: Pick<HostInventory, 'entries'>,
): Promise<void> {
  const { places } = deps;
  const noted = [...inventory.entries(), ...(await allOriginals(deps))]
    .filter(({ kind }) => WRITTEN_KINDS.includes(kind))
    .map(({ name }) => name);
  const touched = resources.flatMap(({ touches }) => touches);
  const written = [...noted, ...touched, places.leavingFile]
    // Root follows no path inside the daemon's directory.
    .filter((path) => path.startsWith('/') && !path.startsWith(`${places.stateDirectory}/`));
  for (const path of new Set(written)) {
    await removeUnfinished(deps, path);
  }
}

/** The same beside one file. @throws AgentError FILE_ACCESS */
export async function removeUnfinished(
  { files }: Pick<Deps, 'files'>,
  path: string,
): Promise<void> {
  const directory = dirname(path);
  for (const name of await files.list(directory)) {
    const beside = join(directory, name);
    if (isUnfinishedFile(name, path) && (await files.stat(beside))?.kind !== 'directory') {
      await files.remove(beside);
    }
  }
}
