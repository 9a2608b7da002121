import type { Files, StartProgress } from '../../core/ports.ts';
import type { HostInventory } from './inventory.ts';
import { forgetOriginals } from './originals.ts';
import type { Removal, Resource, UndoOptions } from './resource.ts';

interface Deps {
  readonly files: Files;
  readonly progress: StartProgress;
}

/** What would be taken away, the newest first, without doing it. */
export async function planUndo(
  resources: readonly Resource[],
  how: UndoOptions,
): Promise<readonly Removal[]> {
  const removals: Removal[] = [];
  for (const resource of resources.toReversed()) {
    removals.push(...(await resource.undo(how)));
  }
  return removals;
}

/**
 * Takes away what these resources have made, the newest first. Each leaves the inventory only when it
 * is gone: after a failure, or when this is killed, the same again goes on.
 * @returns what was taken away, for a person
 * @throws what a removal throws
 */
export async function undoResources(
  deps: Deps,
  resources: readonly Resource[],
  inventory: HostInventory,
  how: UndoOptions,
): Promise<readonly string[]> {
  const removals = await planUndo(resources, how);
  for (const removal of removals) {
    const progress = await deps.progress(removal.title);
    try {
      await removal.run();
      await forgetOriginals(deps, removal.originals ?? []);
      await inventory.forget(removal.entries);
    } catch (thrown) {
      progress.fail();
      throw thrown;
    }
    progress.done();
  }
  return removals.map(({ title }) => title);
}
