import type { Files } from '../../core/ports.ts';

/** Copied at once. */
const PIECE_BYTES = 512 * 1024;

/** A piece of a large file. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * Copies a file, or a piece of one, to its place: it stands there as a whole or not at all.
 * @param seen hears every byte that is placed, before it counts: what it throws stops it
 */
export async function placeFile(
  files: Files,
  from: FileRange,
  to: { readonly path: string; readonly mode: number },
  seen: { readonly piece: (bytes: Uint8Array) => void; readonly end: () => void },
  signal: AbortSignal,
): Promise<void> {
  const partial = partialPath(to.path);
  const source = await files.openFile(from.path);
  try {
    const target = await files.growFile(partial, { mode: to.mode, keeps: false });
    try {
      for (let done = 0; done < from.sizeBytes; ) {
        signal.throwIfAborted();
        const wanted = Math.min(PIECE_BYTES, from.sizeBytes - done);
        const piece = (await source?.read(from.offset + done, wanted)) ?? new Uint8Array();
        if (piece.length === 0) {
          break; // It became shorter: its hash tells.
        }
        seen.piece(piece);
        await target.append(piece);
        done += piece.length;
      }
      seen.end();
    } finally {
      await target.close({ sync: true });
    }
    await files.rename(partial, to.path);
  } catch (thrown) {
    await files.remove(partial);
    throw thrown;
  } finally {
    await source?.close();
  }
}

/** Where it stands while it is copied: a run that was killed may leave it. */
export function partialPath(path: string): string {
  return `${path}.partial`;
}
