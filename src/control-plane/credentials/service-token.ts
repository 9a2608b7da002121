import { timingSafeEqual } from 'node:crypto';
import type { Random } from '../../core/ports.ts';

/** Bytes of randomness in a service token. */
const TOKEN_BYTES = 32;
/** Tokens that are longer than this are not looked at, characters. */
const TOKEN_LENGTH_MAX = 256;
/** Of SHA-256. */
const HASH_BYTES = 32;

/**
 * The credential that a registration hands to the control plane instead of a token of the cluster.
 * Only its hash is kept; a new one counts from the success of its registration, and ends the one
 * before.
 */
export interface ServiceTokens {
  /** @returns a token that is not valid yet, and its hash */
  mint(): { readonly token: string; readonly hash: string };
  activate(hash: string): void;
  /** In constant time. */
  accepts(token: string): boolean;
}

/** @param kept the hash of the last one, from before a restart */
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
  Bun.SHA256.hash(token, hash); // A third of the time of a hasher object; each request is checked.
  return hash;
}
