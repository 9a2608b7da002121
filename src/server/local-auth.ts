/** Who may use the doors on loopback: whoever can read the token, that is root and the group. */
import { timingSafeEqual } from 'node:crypto';
import type { Files, Random } from '../core/ports.ts';

/** Bytes of randomness in the local token. */
const TOKEN_BYTES = 32;
/** The daemon's group may read it; every start makes a new one. */
const TOKEN_MODE = 0o640;

export interface LocalAuth {
  /** @param authorization value of the header, as it came */
  accepts(authorization: string | undefined): boolean;
}

/** Makes the token of this start and puts it where those who may use it can read it. */
export async function localAuth(
  deps: { readonly random: Random; readonly files: Files },
  tokenPath: string,
): Promise<LocalAuth> {
  const token = Buffer.from(deps.random.bytes(TOKEN_BYTES)).toString('base64url');
  await deps.files.writeAtomic(tokenPath, `${token}\n`, { mode: TOKEN_MODE });
  const expected = Buffer.from(`Bearer ${token}`);
  return {
    accepts: (authorization) => {
      const given = Buffer.from(authorization ?? '');
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
