import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Files, StartProgress } from '../../core/ports.ts';
import type { StepReport } from './apply.ts';
import { isDiskFull } from './disk-full.ts';
import { interrupted } from './interrupted.ts';
import type { HostInventory } from './inventory.ts';
import { forgetOriginals } from './originals.ts';
import type { Removal, Resource, UndoOptions } from './resource.ts';
import { removeUnfinishedFiles } from './unfinished-files.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
  readonly progress: StartProgress;
  readonly signal: AbortSignal;
  /** Hears of each removal beside the person, by its resource. */
  readonly report?: ((report: StepReport) => Promise<void>) | undefined;
}

/** A removal, and the resource that it is of. */
interface ListedRemoval extends Removal {
  readonly id: string;
}

/** What would be removed, newest first. Removes nothing. */
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
 * Removes what these resources have made, newest first. An entry leaves the inventory only when its thing
 * is gone. So after a failure, or when this was killed, the next run continues.
 * @returns what was removed, for a person
 * @throws what a removal throws; INTERRUPTED before the next one, at the signal
 */
export async function undoResources(
  deps: Deps,
  resources: readonly Resource[],
  inventory: HostInventory,
  how: UndoOptions,
): Promise<readonly string[]> {
  await removeUnfinishedFiles(deps, resources, inventory);
  const removed: string[] = [];
  const waiting: ListedRemoval[] = [];
  const removals = await removalsOf(resources, how);
  const shared = await sharedThere(deps, removals);
  let over = 0;
  const report = async ({ id, title }: ListedRemoval, state: StepReport['state']) =>
    await deps.report?.({ id, title, state, over, of: removals.length });
  const one = async (removal: ListedRemoval) => {
    await report(removal, 'begun');
    removed.push(...(await undoOne(deps, removal, inventory, shared)));
    over += 1;
    await report(removal, 'done');
  };
  for (const removal of removals) {
    try {
      await one(removal);
    } catch (thrown) {
      // Later removals may make the room that this one needs. If one of those fails, this one may be why.
      if (!(thrown instanceof AgentError) || (waiting.length === 0 && !isDiskFull(thrown))) {
        await report(removal, 'failed');
        throw thrown;
      }
      waiting.push(removal);
    }
  }
  for (const removal of waiting) {
    await one(removal);
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
  if (deps.signal.aborted) {
    throw interrupted(`before: ${removal.title}`);
  }
  // A shared directory that stays is forgotten silently.
  const isTold =
    (await goes(deps, removal, new Set())) || (await wasTakenAlong(deps, removal, sharedBefore));
  const progress = isTold ? await deps.progress(removal.title) : undefined;
  try {
    await removal.run();
    // In this order: a thing with an original is put back, and that may happen twice. A thing in the
    // inventory without an original counts as ours, and a second run would remove it.
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
): Promise<readonly ListedRemoval[]> {
  const removals: ListedRemoval[] = [];
  for (const resource of resources.toReversed()) {
    const { id } = resource;
    removals.push(...(await resource.undo(how)).map((removal) => ({ ...removal, id })));
  }
  return removals;
}

/**
 * Whether a removal really removes something: a shared directory stays if others have something in it.
 * @param gone paths that earlier removals will have removed by then
 */
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

/** Whether the removal of something else has removed this directory, too. */
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
