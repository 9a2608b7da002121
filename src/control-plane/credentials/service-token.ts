import { timingSafeEqual } from 'node:crypto';
import type { Random } from '../../core/ports.ts';

/** Bytes of randomness in a service token. */
const TOKEN_BYTES = 32;
/** Longer tokens than this are rejected unread, characters. */
const TOKEN_LENGTH_MAX = 256;
/** Length of a SHA-256 hash. */
const HASH_BYTES = 32;

/**
 * The credential that a registration hands to the control plane instead of a token of the cluster.
 * Only its hash is kept. A new token becomes valid when its registration succeeds, and the previous
 * one ends then.
 */
export interface ServiceTokens {
  /** @returns a token that is not valid yet, and its hash */
  mint(): { readonly token: string; readonly hash: string };
  activate(hash: string): void;
  /** In constant time. */
  accepts(token: string): boolean;
}

/** @param kept the hash of the last token, from before a restart */
export function serviceTokens(
  deps: { readonly random: Random },
  kept: string | undefined,
): ServiceTokens {
  let active = kept === undefined ? undefined : Buffer.from(kept, 'hex');
  return {
    mint: () => {
      const token = Buffer.from(deps.random.bytes(TOKEN_BYTES)).toString('base64url');
      return { token, hash: hashOf(token).toString('hex') };
    },
    activate: (hash) => {
      active = Buffer.from(hash, 'hex');
    },
    accepts: (token) =>
      active !== undefined &&
      token.length <= TOKEN_LENGTH_MAX &&
      timingSafeEqual(hashOf(token), active),
  };
}

function hashOf(token: string): Buffer {
  const hash = Buffer.allocUnsafe(HASH_BYTES);
  Bun.SHA256.hash(token, hash); // A third of a hasher object's time; every request is checked.
  return hash;
}
