/** How paths are removed or put back, and the resource for a text file of root's. */
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { withoutSecrets } from '../../core/text/named-secrets.ts';
import { unifiedDiff } from '../../core/text/unified-diff.ts';
import type { InventoryEntry } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';
import { originalOf, type PathEntry, putBack, removeIfEmpty } from './originals.ts';
import { claimText, isClaimed } from './own-text.ts';
import {
  type Change,
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
} from './resource.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/**
 * What `apply` would do to a path in its present state.
 * @param text what it would write there; undefined where that is no text, a secret, or not known yet
 */
export async function changeOf(
  deps: Deps,
  path: string,
  isDone: boolean,
  text?: string,
): Promise<Change> {
  const isThere = (await deps.files.stat(path)) !== undefined;
  const change = { action: isDone ? 'keep' : isThere ? 'change' : 'create', target: path } as const;
  return isDone || text === undefined
    ? change
    : withDiff(change, await deps.files.readText(path), text);
}

/** A secret that becomes another one is no difference to be seen. */
function withDiff(change: Change, before: string | undefined, after: string): Change {
  const shown = before === undefined ? undefined : withoutSecrets(before);
  const diff = unifiedDiff(change.target, shown, withoutSecrets(after));
  return diff === '' ? change : { ...change, diff };
}

/** A path of ours is removed with all that is in it. A path that was here before is put back. */
export async function removePath(
  deps: Deps,
  inventory: HostInventory,
  entry: PathEntry,
): Promise<readonly Removal[]> {
  const { kind, name } = entry;
  if ((await originalOf(deps, name)) !== undefined) {
    return [await putBackPath(deps, entry)];
  }
  const below = inventory.entries().filter((each) => each.name.startsWith(`${name}/`));
  const remove = { title: `Remove ${kind} ${name}`, target: name, entries: [entry, ...below] };
  return inventory.has(kind, name) ? [removal(remove, () => removeNow(deps, entry))] : [];
}

/** A directory that others use, too, is removed only when it is empty. */
export function removeShared(
  deps: Deps,
  inventory: HostInventory,
  name: string,
): readonly Removal[] {
  const entry: InventoryEntry = { kind: 'directory', name };
  const remove = { title: `Remove directory ${name}`, target: name, entries: [entry] };
  return inventory.has('directory', name)
    ? [{ ...removal(remove, () => removeIfEmpty(deps, name)), shared: name }]
    : [];
}

export async function putBackPath(deps: Deps, entry: PathEntry): Promise<Removal> {
  const { kind, name } = entry;
  return {
    title: `Put back ${kind} ${name}`,
    changes: [await restoreOf(deps, name)],
    entries: [entry],
    originals: [name],
    run: () => putBack(deps, name),
  };
}

/** What becomes of a path that is put back. */
export async function restoreOf(deps: Deps, name: string): Promise<Change> {
  const change = { action: 'restore', target: name } as const;
  const original = await originalOf(deps, name);
  const isText = original?.kind === 'file' && original.base64 === undefined;
  const isFile = (await deps.files.stat(name))?.kind !== 'directory';
  return isText && isFile
    ? withDiff(change, await deps.files.readText(name), original.text)
    : change;
}

function removal(
  { title, target, entries }: Pick<Removal, 'title' | 'entries'> & { readonly target: string },
  run: () => Promise<unknown>,
): Removal {
  return {
    title,
    changes: [{ action: 'remove', target }],
    entries,
    run: async () => {
      await run();
    },
  };
}

function removeNow({ files }: Deps, { kind, name }: PathEntry): Promise<boolean> {
  return kind === 'directory' ? files.removeTree(name) : files.remove(name);
}

/** One text file that root writes. */
export interface OwnFile {
  readonly id: string;
  readonly title: string;
  readonly path: string;
  /**
   * Whether an agent wrote a text of which there is no note. A file that is there already must be noted,
   * even if its text is right. Absent for a file that only the agent writes.
   */
  readonly looksOurs?: (text: string) => boolean;
}

/** How a file is written. `text`: what would be written now; absent where that is a secret. */
export type FileMaking = Pick<Resource, 'isDone' | 'apply' | 'commands'> & {
  readonly text?: () => Promise<string>;
};

/** @param making how the file is written; undefined where nobody asked for it this time */
export function ownFile(
  deps: Deps,
  inventory: HostInventory,
  own: OwnFile,
  making: FileMaking | undefined,
): Resource {
  const { id, title, path } = own;
  const entry: PathEntry = { kind: 'file', name: path };
  return {
    id,
    title,
    touches: [path],
    entries: [entry],
    ...(making === undefined ? LEFT_AS_IT_IS : fileMaking(deps, inventory, own, making)),
    undo: () => removePath(deps, inventory, entry),
  };
}

function fileMaking(
  deps: Deps,
  inventory: HostInventory,
  { path, looksOurs }: OwnFile,
  { isDone, apply, text, commands }: FileMaking,
): Making {
  const entry: PathEntry = { kind: 'file', name: path };
  const isNoted = async () =>
    looksOurs === undefined ||
    (await isClaimed(deps, inventory, entry)) ||
    (await deps.files.stat(path)) === undefined;
  return {
    isWanted: true,
    isDone: async () => (await isDone()) && (await isNoted()),
    apply: async (update, tellPart) => {
      await claimText(deps, inventory, entry, looksOurs ?? (() => true));
      if (!(await isDone())) {
        await apply(update, tellPart);
      }
    },
    changes: async () => [await changeOf(deps, path, await isDone(), await text?.())],
    ...(commands === undefined ? {} : { commands }),
  };
}
