import type { OpenFile } from '../../core/ports.ts';
import { interrupted } from './interrupted.ts';

/** Read at once: about 1 ms of the event loop. */
const PIECE_BYTES = 512 * 1024;

/** A file of any size from its beginning, piece by piece; nothing where there is none. @throws AgentError INTERRUPTED */
export async function* piecesOf(
  file: OpenFile | undefined,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let offset = 0; offset < (file?.sizeBytes ?? 0); ) {
    if (signal.aborted) {
      throw interrupted(`while reading ${path}`);
    }
    const piece = new Uint8Array((await file?.read(offset, PIECE_BYTES)) ?? []);
    if (piece.length === 0) {
      return;
    }
    yield piece;
    offset += piece.length;
  }
}
