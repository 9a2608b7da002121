/**
 * Text files that are written here. Where one stood there before us, it is noted what we have written:
 * what differs from that a person has made of it since, and that counts as how it was.
 */
import { dirname } from 'node:path';
import { expectedError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Files, FileWriteOptions } from '../../core/ports.ts';
import type { Original } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';
import {
  allOriginals,
  claimPath,
  isNoted,
  lookAt,
  originalOf,
  type PathEntry,
  replaceOriginal,
} from './originals.ts';
import { readStepJournal } from './step-journal.ts';

/** A run that was killed has left one of the last two. */
const WRITTEN_MAX = 2;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** Whether it stands in the inventory, alone or with its directory, or in the originals of any form. */
export async function isClaimed(
  deps: Deps,
  inventory: HostInventory,
  { kind, name }: PathEntry,
): Promise<boolean> {
  return (
    inventory.has(kind, name) ||
    inventory.has('directory', dirname(name)) ||
    (await isNoted(deps, name))
  );
}

/**
 * `claimPath`; but what an older agent has written without taking a note of it is ours.
 * @param looksOurs whether it may have been written by an agent
 */
export async function claimText(
  deps: Deps,
  inventory: HostInventory,
  entry: PathEntry,
  looksOurs: (text: string) => boolean,
): Promise<void> {
  if (
    (await deps.files.stat(entry.name))?.kind === 'file' &&
    !(await isClaimed(deps, inventory, entry)) &&
    (await wasSetUp(deps, inventory)) &&
    looksOurs((await deps.files.readText(entry.name)) ?? '')
  ) {
    await inventory.record(entry);
  }
  await claimPath(deps, inventory, entry);
}

/** Files are claimed before the unit is started: what is not by then is of a version that did not. */
async function wasSetUp(deps: Deps, inventory: HostInventory): Promise<boolean> {
  return (
    inventory.has('unit', deps.places.unitFile) ||
    (await readStepJournal(deps))['start-agent'] !== undefined
  );
}

/** `writeAtomic`, noted before. @throws AgentError FILE_ACCESS, DISK_FULL */
export async function writeOwn(
  deps: Deps,
  path: string,
  text: string,
  options: FileWriteOptions,
): Promise<void> {
  await noteWriting(deps, path, text);
  await deps.files.writeAtomic(path, text, options);
}

/** The same for what the agent cannot do without: written also where no note can be taken. */
export async function renewOwn(
  deps: Deps,
  path: string,
  text: string,
  options: FileWriteOptions,
): Promise<void> {
  await noteWriting(deps, path, text).catch(expectedError);
  await deps.files.writeAtomic(path, text, options);
}

async function noteWriting(deps: Deps, path: string, text: string): Promise<void> {
  const noted = await originalOf(deps, path);
  if (noted !== undefined) {
    const original = (await editOf(deps.files, noted)) ?? noted;
    await noteWritten(deps, original, digestOf(Buffer.from(text)));
  }
}

/**
 * Before anything is put back: what people have made since of what stood there before us counts as how
 * it was.
 */
export async function keepEdits(deps: Deps): Promise<void> {
  for (const edit of await findEdits(deps)) {
    await replaceOriginal(deps, edit);
  }
}

/** What people have changed, as `keepEdits` notes it. Changes nothing. */
export async function findEdits(deps: Deps): Promise<readonly Original[]> {
  const originals = await allOriginals(deps);
  const edits = await Promise.all(originals.map((original) => editOf(deps.files, original)));
  return edits.filter((edit) => edit !== undefined);
}

/** @returns the original that it is to be from now on; undefined where nobody has changed it */
async function editOf(files: Files, original: Original): Promise<Original | undefined> {
  const written = writtenOf(original);
  if (written === undefined) {
    return undefined; // Of an older version, which took no note, or no text.
  }
  const now = await lookAt(files, original.name);
  if (now === undefined || (now.kind !== 'file' && now.kind !== 'link')) {
    return undefined;
  }
  const isOurs = now.kind === 'file' && written.includes(digestOf(contentOf(now)));
  return isOurs || isSame(now, original) ? undefined : edited(original, now);
}

/** Mode and owner stay those of before: the file of now may be of a group that goes. */
function edited(original: Original, now: Original): Original {
  const { mode, uid, gid } = original.kind === 'file' ? original : { mode: 0o644, uid: 0, gid: 0 };
  return now.kind === 'file' ? { ...now, mode, uid, gid } : now;
}

function isSame(now: Original, original: Original): boolean {
  if (now.kind === 'file' && original.kind === 'file') {
    return contentOf(now).equals(contentOf(original));
  }
  return now.kind === 'link' && original.kind === 'link' && now.target === original.target;
}

async function noteWritten(deps: Deps, original: Original, digest: string): Promise<void> {
  const written = writtenOf(original);
  if (written !== undefined) {
    const others = written.filter((each) => each !== digest);
    await replaceOriginal(deps, { ...original, written: [...others, digest].slice(-WRITTEN_MAX) });
  }
}

function writtenOf(original: Original): readonly string[] | undefined {
  return original.kind === 'file' || original.kind === 'link' ? original.written : undefined;
}

function contentOf({ text, base64 }: Extract<Original, { kind: 'file' }>): Buffer {
  return base64 === undefined ? Buffer.from(text) : Buffer.from(base64, 'base64');
}

function digestOf(content: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(content).digest('hex')}`;
}
