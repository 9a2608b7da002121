/**
 * Who may use the doors on loopback: everybody who can read the token, that is root and the group.
 */
import { timingSafeEqual } from 'node:crypto';
import { toAgentError } from '../core/errors.ts';
import type { Files, Log, Random } from '../core/ports.ts';

/** Bytes of randomness in the local token. */
const TOKEN_BYTES = 32;
/** Shorter texts are not tokens: an empty file opens nothing. */
const TOKEN_LENGTH_MIN = 32;
const TOKEN_FILE_LIMIT_BYTES = 4 * 1024;
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
  return authOf(token);
}

/** Checks with the token that root has made for this start; without one the doors let nobody in. */
export async function givenLocalAuth(
  deps: { readonly files: Files; readonly log: Log },
  tokenPath: string,
): Promise<LocalAuth> {
  const token = await readToken(deps, tokenPath);
  if (token.length < TOKEN_LENGTH_MIN) {
    deps.log.warn('there is no local token: the doors on loopback let nobody in', {
      path: tokenPath,
      hint: 'start the agent again: sudo systemctl restart pipeops-agent',
    });
    return { accepts: () => false };
  }
  return authOf(token);
}

/** Checks with the token that was made at the first start: those who have it are elsewhere. */
export async function keptAuth(
  deps: { readonly random: Random; readonly files: Files },
  tokenPath: string,
): Promise<LocalAuth> {
  const kept = (await deps.files.readText(tokenPath, TOKEN_FILE_LIMIT_BYTES))?.trim() ?? '';
  return kept.length < TOKEN_LENGTH_MIN ? await localAuth(deps, tokenPath) : authOf(kept);
}

async function readToken(
  { files, log }: { readonly files: Files; readonly log: Log },
  path: string,
): Promise<string> {
  try {
    return (await files.readText(path, TOKEN_FILE_LIMIT_BYTES))?.trim() ?? '';
  } catch (thrown) {
    const { code, message } = toAgentError(thrown);
    log.warn('cannot read the local token', { error_code: code, error: message });
    return '';
  }
}

function authOf(token: string): LocalAuth {
  const expected = Buffer.from(`Bearer ${token}`);
  return {
    accepts: (authorization) => {
      const given = Buffer.from(authorization ?? '');
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
