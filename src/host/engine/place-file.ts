import { AgentError, expectedError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import { systemCode } from '../../core/text/system-words.ts';
import { runningHash } from './file-hash.ts';
import { interrupted } from './interrupted.ts';

/** Copied at once. */
const PIECE_BYTES = 512 * 1024;

/** A piece of a large file. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * Copies a file, or a piece of one, to its place: it stands there as a whole or not at all, and is what it
 * was when its hash was made.
 * @throws AgentError FILE_ACCESS, DISK_FULL, INTERRUPTED
 */
export async function placeFile(
  files: Files,
  from: FileRange & { readonly sha256: string },
  to: { readonly path: string; readonly mode: number },
  signal: AbortSignal,
): Promise<void> {
  const partial = partialPath(to.path);
  try {
    const hash = await copy(files, from, { path: partial, mode: to.mode }, signal);
    if (hash !== from.sha256) {
      throw new AgentError('FILE_ACCESS', `${from.path} was changed while it was used`, {
        hint: 'Let nothing change it, then run the same command again',
      });
    }
    await files.rename(partial, to.path);
  } catch (thrown) {
    await files.remove(partial);
    throw thrown;
  }
}

/**
 * Moves a file of ours to its place: within one file system in one step, else by a copy.
 * @throws AgentError FILE_ACCESS, DISK_FULL, INTERRUPTED
 */
export async function moveFile(
  files: Files,
  from: FileRange & { readonly sha256: string },
  to: { readonly path: string; readonly mode: number },
  signal: AbortSignal,
): Promise<void> {
  await files.changeMode(from.path, to.mode);
  try {
    await files.rename(from.path, to.path);
  } catch (thrown) {
    const cause = expectedError(thrown).cause;
    if (systemCode(cause) !== 'EXDEV') {
      throw thrown;
    }
    await placeFile(files, from, to, signal);
    await files.remove(from.path);
  }
}

/** @returns the SHA-256 of what was copied */
async function copy(
  files: Files,
  from: FileRange,
  to: { readonly path: string; readonly mode: number },
  signal: AbortSignal,
): Promise<string> {
  const hash = runningHash();
  const source = await files.openFile(from.path);
  try {
    const target = await files.growFile(to.path, { mode: to.mode, keeps: false });
    try {
      for (let done = 0; done < from.sizeBytes; ) {
        if (signal.aborted) {
          throw interrupted(`while copying ${from.path}`);
        }
        const wanted = Math.min(PIECE_BYTES, from.sizeBytes - done);
        const piece = (await source?.read(from.offset + done, wanted)) ?? new Uint8Array();
        if (piece.length === 0) {
          break; // It became shorter: its hash tells.
        }
        hash.update(piece);
        await target.append(piece);
        done += piece.length;
      }
    } finally {
      await target.close({ sync: true });
    }
  } finally {
    await source?.close();
  }
  return hash.hex();
}

/** Where it stands while it is copied: a run that was killed may leave it. */
export function partialPath(path: string): string {
  return `${path}.partial`;
}
