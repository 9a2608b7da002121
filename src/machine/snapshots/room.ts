import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';

/** Stays free for k3s, which runs meanwhile. */
export const ROOM_LEFT_BYTES = 256 * 1024 * 1024;

/** @throws AgentError DISK_FULL where so many bytes have no room in a directory */
export async function requireRoom(
  { files }: { readonly files: Files },
  directory: string,
  bytes: number,
): Promise<void> {
  const { freeBytes } = await files.diskSpace(directory);
  const neededBytes = bytes + ROOM_LEFT_BYTES;
  if (freeBytes < neededBytes) {
    const mb = (count: number) => `${Math.ceil(count / 1_000_000)} MB`;
    throw new AgentError(
      'DISK_FULL',
      `A snapshot needs ${mb(neededBytes)} of free space for a while, and there are ${mb(freeBytes)}`,
      { hint: `Free some space on the file system of ${directory}` },
    );
  }
}
