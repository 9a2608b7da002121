import type { Files } from '../../core/ports.ts';
import type { InventoryEntry } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';
import type { PathEntry } from './originals.ts';
import { removePath } from './removals.ts';
import { LEFT_AS_IT_IS, type Resource } from './resource.ts';

interface Deps {
  readonly files: Files;
}

/**
 * Files, directories and links that the inventory has and no resource of this version knows: another
 * version has made them, and recorded them so that every version can remove them.
 */
export function ofOtherVersions(
  deps: Deps,
  inventory: HostInventory,
  known: readonly Resource[],
): Resource {
  const entries = known.flatMap((resource) => resource.entries);
  const isUnknown = (entry: InventoryEntry) =>
    !entries.some(({ kind, name }) => entry.kind === kind && entry.name === name) &&
    !entries.some(({ kind, name }) => kind === 'directory' && entry.name.startsWith(`${name}/`));
  return {
    id: 'other-versions',
    title: 'What another version has made',
    touches: [],
    entries: [],
    ...LEFT_AS_IT_IS,
    undo: async () => {
      const paths = inventory.entries().filter(isPath).filter(isUnknown).toReversed();
      const removals = await Promise.all(paths.map((entry) => removePath(deps, inventory, entry)));
      return removals.flat();
    },
  };
}

function isPath(entry: InventoryEntry): entry is PathEntry {
  return ['file', 'directory', 'link'].includes(entry.kind);
}
