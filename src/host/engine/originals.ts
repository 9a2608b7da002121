/**
 * The earlier state of what was here before the installation and is changed by it. Whoever removes the
 * installation puts it back. What was not here before is in the inventory instead, which older versions
 * read, too.
 */
import { dirname } from 'node:path';
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { InventoryEntry, Original } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';
import { readOriginals, readUnknownOriginals, writeOriginals } from './originals-file.ts';

/** Originals are small texts: settings, certificates, a unit. */
const ORIGINAL_LIMIT_BYTES = 1024 * 1024;

/** For a directory that is made only because a file in it is put back. */
const PARENT_MODE = 0o755;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

export type PathEntry = InventoryEntry & {
  readonly kind: 'file' | 'directory' | 'link' | 'unit';
};

/**
 * To be called before a path is made or changed. Notes that the path is ours, or else its earlier state.
 * Below a directory of ours nothing is noted, because that is removed as a whole.
 */
export async function claimPath(
  deps: Deps,
  inventory: HostInventory,
  entry: PathEntry,
): Promise<void> {
  const { kind, name } = entry;
  if (inventory.has(kind, name) || inventory.has('directory', dirname(name))) {
    return;
  }
  const original = await lookAt(deps.files, name);
  if (original === undefined) {
    await inventory.record(entry);
  } else {
    await keepOriginal(deps, original);
  }
}

/** The same for a directory that others use, too. If it exists already, there is nothing to note. */
export async function recordMissing(
  deps: Deps,
  inventory: HostInventory,
  entry: PathEntry,
): Promise<void> {
  if ((await deps.files.stat(entry.name)) === undefined) {
    await inventory.record(entry);
  }
}

/** Notes the earlier state of those of these paths that exist. */
export async function keepIfThere(deps: Deps, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const original = await lookAt(deps.files, path);
    if (original !== undefined) {
      await keepOriginal(deps, original);
    }
  }
}

/** Only the first state of a path is kept: every later one is ours. */
export async function keepOriginal(deps: Deps, original: Original): Promise<void> {
  if (!(await isNoted(deps, original.name))) {
    await writeOriginals(deps, [...(await readOriginals(deps)), original]);
  }
}

/** Whether the earlier state is noted, even in a form that only another version knows. */
export async function isNoted(deps: Deps, name: string): Promise<boolean> {
  const noted = [...(await readOriginals(deps)), ...(await readUnknownOriginals(deps))];
  return noted.some((each) => each.name === name);
}

/** Notes which of these shared directories do not exist yet. Those are removed again once they are empty. */
export async function keepMissing(deps: Deps, directories: readonly string[]): Promise<void> {
  for (const name of directories) {
    if ((await deps.files.stat(name)) === undefined) {
      await keepOriginal(deps, { kind: 'nothing', name });
    }
  }
}

export async function originalOf(deps: Deps, name: string): Promise<Original | undefined> {
  return (await readOriginals(deps)).find((original) => original.name === name);
}

export function allOriginals(deps: Deps): Promise<readonly Original[]> {
  return readOriginals(deps);
}

/** From now on this is the state to put back. */
export async function replaceOriginal(deps: Deps, original: Original): Promise<void> {
  const originals = await readOriginals(deps);
  await writeOriginals(
    deps,
    originals.map((each) => (each.name === original.name ? original : each)),
  );
}

/** Puts a path back; does nothing where no original is noted. @throws AgentError FILE_ACCESS, DISK_FULL */
export async function putBack(deps: Deps, name: string): Promise<void> {
  const { files } = deps;
  const original = await originalOf(deps, name);
  switch (original?.kind) {
    case 'link':
      await makeParent(deps, name);
      await files.link(original.target, name);
      break;
    case 'directory':
      await files.claimDirectory(name, accessOf(original));
      break;
    case 'file':
      await makeParent(deps, name);
      await files.writeAtomic(
        name,
        original.base64 === undefined ? original.text : Buffer.from(original.base64, 'base64'),
        accessOf(original),
      );
      break;
    case 'nothing':
      await removeIfEmpty(deps, name);
      break;
    default: // Groups and trees are put back elsewhere: agent/account.ts, k3s/data-of-before.ts.
  }
}

/** Somebody may have removed the directory meanwhile. Its file is put back all the same. */
async function makeParent({ files }: Deps, path: string): Promise<void> {
  const name = dirname(path);
  if ((await files.stat(name)) === undefined) {
    await files.makeDirectory(name, { mode: PARENT_MODE });
  }
}

/** For what has been put back. */
export async function forgetOriginals(deps: Deps, names: readonly string[]): Promise<void> {
  const originals = await readOriginals(deps);
  const others = originals.filter((original) => !names.includes(original.name));
  if (others.length < originals.length) {
    await writeOriginals(deps, others);
  }
}

/** A directory stays when others have put something into it meanwhile. */
export async function removeIfEmpty({ files }: Deps, path: string): Promise<void> {
  await files.removeEmptyDirectory(path);
}

/** The present state of a path, as an original. @throws AgentError FILE_ACCESS when the file is too long */
export async function lookAt(files: Files, name: string): Promise<Original | undefined> {
  const stat = await files.stat(name);
  const access = stat === undefined ? undefined : { mode: stat.mode, uid: stat.uid, gid: stat.gid };
  if (access === undefined) {
    return undefined;
  }
  if (stat?.kind === 'link') {
    return { kind: 'link', name, target: (await files.readLink(name)) ?? '', written: [] };
  }
  if (stat?.kind === 'directory') {
    return { kind: 'directory', name, ...access };
  }
  const bytes = Buffer.from((await files.readBytes(name, ORIGINAL_LIMIT_BYTES)) ?? []);
  const text = bytes.toString();
  const base64 = Buffer.from(text).equals(bytes) ? {} : { base64: bytes.toString('base64') };
  return { kind: 'file', name, text, ...base64, ...access, written: [] };
}

function accessOf({ mode, uid, gid }: { mode: number; uid: number; gid: number }) {
  return { mode, owner: `${uid}:${gid}` };
}
