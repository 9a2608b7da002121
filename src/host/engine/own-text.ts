/**
 * The text files that an installation writes. Where a file was there before, a digest of what we write
 * over it is noted. If the file differs from that later, a person has changed it since, and the changed
 * file counts as the earlier state.
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

/** Digests that are kept: a run that was killed has left one of the last two texts. */
const WRITTEN_MAX = 2;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** Whether it is in the inventory (itself or its directory) or among the originals. */
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
 * As `claimPath`. But a file that an older agent has written without a note counts as ours.
 * @param looksOurs whether an agent may have written this text
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

/**
 * Whether an agent was set up here. This version claims every file before it starts the unit. So a file
 * without a claim on such a machine was written by a version that took no notes.
 */
async function wasSetUp(deps: Deps, inventory: HostInventory): Promise<boolean> {
  return (
    inventory.has('unit', deps.places.unitFile) ||
    (await readStepJournal(deps))['start-agent'] !== undefined
  );
}

/** As `writeAtomic`, with a note beforehand. @throws AgentError FILE_ACCESS, DISK_FULL */
export async function writeOwn(
  deps: Deps,
  path: string,
  text: string,
  options: FileWriteOptions,
): Promise<void> {
  await noteWriting(deps, path, text);
  await deps.files.writeAtomic(path, text, options);
}

/** The same for a file that the agent cannot do without: it is written even if the note cannot be. */
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
 * To be called before anything is put back. What people have changed since the installation becomes the
 * state to put back.
 */
export async function keepEdits(deps: Deps): Promise<void> {
  for (const edit of await findEdits(deps)) {
    await replaceOriginal(deps, edit);
  }
}

/** What people have changed, as `keepEdits` would note it. Changes nothing. */
export async function findEdits(deps: Deps): Promise<readonly Original[]> {
  const originals = await allOriginals(deps);
  const edits = await Promise.all(originals.map((original) => editOf(deps.files, original)));
  return edits.filter((edit) => edit !== undefined);
}

/** @returns the new original; undefined where nobody has changed the file */
async function editOf(files: Files, original: Original): Promise<Original | undefined> {
  const written = writtenOf(original);
  if (written === undefined) {
    return undefined; // Not a text, or noted by an older version, which noted no digests.
  }
  const now = await lookAt(files, original.name);
  if (now === undefined || (now.kind !== 'file' && now.kind !== 'link')) {
    return undefined;
  }
  const isOurs = now.kind === 'file' && written.includes(digestOf(contentOf(now)));
  return isOurs || isSame(now, original) ? undefined : edited(original, now);
}

/** Mode and owner are still the earlier ones: the file may now belong to a group that is removed. */
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
