/**
 * Who may use the doors on loopback: everybody who can read the token, that is root and the group.
 */
import { timingSafeEqual } from 'node:crypto';
import { toAgentError } from '../core/errors.ts';
import type { Clock, Files, Log, Random } from '../core/ports.ts';

/** Bytes of randomness in the local token. */
const TOKEN_BYTES = 32;
/** Shorter texts are not tokens: an empty file opens nothing. */
const TOKEN_LENGTH_MIN = 32;
const TOKEN_FILE_LIMIT_BYTES = 4 * 1024;
/** The daemon's group may read it; every start makes a new one. */
const TOKEN_MODE = 0o640;
/**
 * So long the token of the start before is accepted, ms: who waited while the agent was started anew, or reads
 * the file only once a minute (client-go), has no other one yet.
 */
const TOKEN_BEFORE_MS = 120_000;

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

/**
 * Checks with the token that root has made for this start, and for a while with the one before it; without one
 * the doors let nobody in.
 */
export async function givenLocalAuth(
  deps: { readonly clock: Clock; readonly files: Files; readonly log: Log },
  { path, before }: { readonly path: string; readonly before: string },
): Promise<LocalAuth> {
  const token = await readToken(deps, path);
  if (token.length < TOKEN_LENGTH_MIN) {
    deps.log.warn('there is no local token: the doors on loopback let nobody in', {
      path,
      hint: 'start the agent again: sudo systemctl restart pipeops-agent',
    });
    return { accepts: () => false };
  }
  const now = authOf(token);
  const older = await readToken(deps, before);
  const olderAuth = older.length < TOKEN_LENGTH_MIN ? undefined : authOf(older);
  const until = deps.clock.monotonic() + TOKEN_BEFORE_MS;
  return {
    accepts: (authorization) =>
      now.accepts(authorization) ||
      (olderAuth?.accepts(authorization) === true && deps.clock.monotonic() < until),
  };
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
