/** Memory for large heads, shared by all connections of a door: who knocks most cannot fill it. */

/** What each connection has for its head without asking, bytes. Few heads in the world are longer. */
export const OWN_HEAD_BYTES = 16 * 1024;
/** What all connections share for more than that, bytes. */
export const SHARED_HEAD_BYTES = 32 * 1024 * 1024;

export interface HeadRoom {
  /** @returns false when there is no room for so much: nothing is taken then */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export function headRoom(sharedBytes = SHARED_HEAD_BYTES): HeadRoom {
  let left = sharedBytes;
  return {
    take: (bytes) => {
      if (bytes > left) {
        return false;
      }
      left -= bytes;
      return true;
    },
    give: (bytes) => {
      left += bytes;
    },
  };
}
