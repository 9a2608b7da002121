/** Files of any size, piece by piece: no file is ever in memory as a whole. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { AgentError } from '../core/errors.ts';
import type { GrowingFile, OpenFile } from '../core/ports.ts';

/** Gives a failure of a file its code and its hint. */
export type Explain = <T>(work: () => Promise<T>) => Promise<T>;

/** @param path as it is shown */
export async function openForReading(
  realPath: string,
  path: string,
  explain: Explain,
): Promise<OpenFile> {
  // Without O_NONBLOCK a pipe would wait for its writer.
  const handle = await open(realPath, constants.O_RDONLY | constants.O_NONBLOCK);
  const stats = await handle.stat();
  if (!stats.isFile()) {
    await handle.close();
    throw new AgentError('FILE_ACCESS', `Cannot read ${path}: it is no regular file`, {
      hint: 'Check that it is the file that was meant',
    });
  }
  return {
    sizeBytes: stats.size,
    read: (offset, lengthBytes) =>
      explain(async () => {
        const buffer = Buffer.allocUnsafe(lengthBytes);
        const { bytesRead } = await handle.read(buffer, 0, lengthBytes, offset);
        return buffer.subarray(0, bytesRead);
      }),
    close: () => handle.close(),
  };
}

export async function openForGrowing(
  realPath: string,
  { mode, keeps }: { readonly mode: number; readonly keeps: boolean },
  explain: Explain,
): Promise<GrowingFile> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_TRUNC, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | (keeps ? 0 : O_TRUNC);
  const handle = await open(realPath, flags, mode);
  await handle.chmod(mode); // The umask has changed it.
  return {
    append: (bytes) =>
      explain(async () => {
        for (let written = 0; written < bytes.length; ) {
          written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
        }
      }),
    close: ({ sync } = { sync: false }) =>
      explain(async () => {
        try {
          if (sync) {
            await handle.sync();
          }
        } finally {
          await handle.close();
        }
      }),
  };
}
