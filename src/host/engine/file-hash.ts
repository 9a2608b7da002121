/** SHA-256 of files of any size. */
import type { Files } from '../../core/ports.ts';
import { isTimeOver } from '../../core/waiting.ts';
import { interrupted } from './interrupted.ts';

/** Read and hashed at once: about 1 ms of the event loop. */
const PIECE_BYTES = 512 * 1024;

export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** Takes in a whole file; nothing where there is none. @returns its size. @throws AgentError INTERRUPTED */
  updateFrom(files: Files, path: string, signal: AbortSignal): Promise<number>;
  /** Ends it. */
  hex(): string;
}

export function runningHash(): RunningHash {
  const hasher = new Bun.CryptoHasher('sha256');
  return {
    update: (bytes) => void hasher.update(bytes),
    updateFrom: async (files, path, signal) => {
      const file = await files.openFile(path);
      let size = 0;
      try {
        for (;;) {
          if (signal.aborted) {
            throw isTimeOver(signal) ? signal.reason : interrupted(`while reading ${path}`);
          }
          const piece = (await file?.read(size, PIECE_BYTES)) ?? new Uint8Array();
          if (piece.length === 0) {
            return size;
          }
          hasher.update(piece);
          size += piece.length;
        }
      } finally {
        await file?.close();
      }
    },
    hex: () => hasher.digest('hex'),
  };
}

/** @returns undefined where there is no file. @throws AgentError INTERRUPTED */
export async function hashOfFile(
  files: Files,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if ((await files.stat(path)) === undefined) {
    return undefined;
  }
  const hash = runningHash();
  await hash.updateFrom(files, path, signal);
  return hash.hex();
}
