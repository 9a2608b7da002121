import { MESSAGE_LIMIT_BYTES } from '../../protocol/session/messages.ts';

/**
 * Most that is kept of early messages, characters and bytes: a command may be as large as a
 * message.
 */
const EARLY_SIZE_MAX = MESSAGE_LIMIT_BYTES;

/**
 * Messages that come right behind the peer's welcome, before their handlers are there. Both can
 * come in one read of the network, and a proxied request lost there would never be answered.
 */
export interface EarlyMessages {
  /** @returns false when there is no room for it */
  keep(size: number, deliver: () => void): boolean;
  /** Delivers what was kept, in order. */
  deliver(): void;
}

export function earlyMessages(): EarlyMessages {
  let kept: (() => void)[] = [];
  let total = 0;
  return {
    keep: (size, deliver) => {
      if (total + size > EARLY_SIZE_MAX) {
        return false;
      }
      total += size;
      kept.push(deliver);
      return true;
    },
    deliver: () => {
      const all = kept;
      kept = [];
      total = 0;
      for (const deliver of all) {
        deliver();
      }
    },
  };
}
