import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Files, StartProgress } from '../../core/ports.ts';
import { isDiskFull } from './disk-full.ts';
import type { HostInventory } from './inventory.ts';
import { forgetOriginals } from './originals.ts';
import type { Removal, Resource, UndoOptions } from './resource.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
  readonly progress: StartProgress;
}

/** What would be taken away, the newest first, without doing it. */
export async function planUndo(
  deps: Pick<Deps, 'files'>,
  resources: readonly Resource[],
  how: UndoOptions,
): Promise<readonly Removal[]> {
  const gone = new Set<string>();
  const going: Removal[] = [];
  for (const removal of await removalsOf(resources, how)) {
    if (await goes(deps, removal, gone)) {
      going.push(removal);
      for (const path of [...targetsOf(removal), ...(removal.alsoGone ?? [])]) {
        gone.add(path);
      }
    }
  }
  return going;
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
  const removed: string[] = [];
  const waiting: Removal[] = [];
  const removals = await removalsOf(resources, how);
  const shared = await sharedThere(deps, removals);
  for (const removal of removals) {
    try {
      removed.push(...(await undoOne(deps, removal, inventory, shared)));
    } catch (thrown) {
      // Those after it may make the room that it needs. What fails then may fail because of it.
      if (!(thrown instanceof AgentError) || (waiting.length === 0 && !isDiskFull(thrown))) {
        throw thrown;
      }
      waiting.push(removal);
    }
  }
  for (const removal of waiting) {
    removed.push(...(await undoOne(deps, removal, inventory, shared)));
  }
  return removed;
}

/**
 * @param sharedBefore the shared directories that were there before anything was removed
 * @returns its title, where a person is told of it
 */
async function undoOne(
  deps: Deps,
  removal: Removal,
  inventory: HostInventory,
  sharedBefore: ReadonlySet<string>,
): Promise<readonly string[]> {
  // What stays, since others use it, is forgotten without a word.
  const isTold =
    (await goes(deps, removal, new Set())) || (await wasTakenAlong(deps, removal, sharedBefore));
  const progress = isTold ? await deps.progress(removal.title) : undefined;
  try {
    await removal.run();
    // As long as there is an original it is put back, which may be done twice. What the inventory has
    // and no original is ours, and would go.
    await inventory.forget(removal.entries);
    await forgetOriginals(deps, removal.originals ?? []);
  } catch (thrown) {
    progress?.fail();
    throw thrown;
  }
  progress?.done();
  return isTold ? [removal.title] : [];
}

async function removalsOf(
  resources: readonly Resource[],
  how: UndoOptions,
): Promise<readonly Removal[]> {
  const removals: Removal[] = [];
  for (const resource of resources.toReversed()) {
    removals.push(...(await resource.undo(how)));
  }
  return removals;
}

/** @param gone what is gone by then, although it is still there */
async function goes(
  { files }: Pick<Deps, 'files'>,
  { shared, alsoGone = [] }: Removal,
  gone: ReadonlySet<string>,
): Promise<boolean> {
  if (shared === undefined) {
    return true;
  }
  const isGone = (path: string) => gone.has(path) || alsoGone.includes(path);
  const names = await files.list(shared);
  const isThere = (await files.stat(shared))?.kind === 'directory';
  return isThere && names.every((name) => isGone(`${shared}/${name}`));
}

async function sharedThere(
  { files }: Pick<Deps, 'files'>,
  removals: readonly Removal[],
): Promise<ReadonlySet<string>> {
  const there = new Set<string>();
  for (const { shared } of removals) {
    if (shared !== undefined && (await files.stat(shared))?.kind === 'directory') {
      there.add(shared);
    }
  }
  return there;
}

/** Whether another removal has taken this directory along: k3s' own uninstaller may. */
async function wasTakenAlong(
  { files }: Pick<Deps, 'files'>,
  { shared }: Removal,
  sharedBefore: ReadonlySet<string>,
): Promise<boolean> {
  return (
    shared !== undefined && sharedBefore.has(shared) && (await files.stat(shared)) === undefined
  );
}

function targetsOf({ changes }: Removal): readonly string[] {
  return changes.filter(({ action }) => action === 'remove').map(({ target }) => target);
}
