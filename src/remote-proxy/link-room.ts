import type { SessionLink } from '../control-plane/session/ports.ts';
import type { Clock } from '../core/ports.ts';

/** When more bytes than this wait in the connection, its senders are told to pause. */
const FULL_BYTES = 1024 * 1024;
/** When no more bytes than this wait, they go on. */
const ROOM_BYTES = 256 * 1024;
/** How often a full connection is checked: the runtime does not say when it has room. */
const CHECK_MS = 5;

/** Whether a connection takes more. */
export interface LinkRoom {
  isFull(): boolean;
}

export interface LinkRoomListener {
  /**
   * Called once when a connection is found full. All must pause, not only the one that filled it:
   * each of a thousand others may have half a mebibyte ready in the same turn of the event loop.
   */
  full(): void;
  /** Called once when it has room again. */
  roomAgain(): void;
}

export function linkRoom(
  deps: { readonly clock: Clock; readonly link: SessionLink },
  listener: LinkRoomListener,
  gone: AbortSignal,
): LinkRoom {
  const { clock, link } = deps;
  let watching = false;
  const watch = async () => {
    do {
      if (!(await clock.sleep(CHECK_MS, gone))) {
        return;
      }
    } while (link.bufferedBytes() > ROOM_BYTES);
    watching = false;
    listener.roomAgain();
  };
  return {
    isFull: () => {
      const full = link.bufferedBytes() > FULL_BYTES;
      if (full && !watching) {
        watching = true;
        listener.full();
        void watch();
      }
      return full;
    },
  };
}
