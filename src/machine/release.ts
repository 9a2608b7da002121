/** The release that a program on this machine belongs to. */
import type { Config } from '../config/schema.ts';
import { type AgentError, expectedError } from '../core/errors.ts';
import { DEFAULT_BASE_URL } from '../core/places.ts';
import type { Http } from '../core/ports.ts';
import { withoutEnd } from '../core/text/without-end.ts';
import { runningHash } from '../host/engine/file-hash.ts';
import { fetchSignedRelease, readSignedRelease } from '../host/release/signed-files.ts';
import {
  ALLOW_EXPIRED_VARIABLE,
  checkListed,
  listedFile,
  verifyRelease,
} from '../host/release/verify.ts';
import type { SignedRelease } from '../protocol/files/release.ts';
import type { MachineContext } from './context.ts';

export interface SignedProgram {
  readonly version: string;
  /** As releases name it: `linux-x64`. */
  readonly platform: string;
  readonly path: string;
  /** Whether a release may have expired: its program runs here already. */
  readonly allowExpired: boolean;
}

/** Whether somebody has said so, in the environment. */
export function mayHaveExpired({ env }: Pick<MachineContext, 'env'>): boolean {
  return env[ALLOW_EXPIRED_VARIABLE] === 'yes';
}

/**
 * The signatures of a program, which is compared with them: they stand beside the installed one; else they
 * are fetched from where it came from.
 * @returns undefined where this program was built without keys
 * @throws AgentError RELEASE_UNTRUSTED, RELEASE_EXPIRED, RELEASE_REFUSED, DOWNLOAD_FAILED
 */
export async function signaturesOf(
  context: MachineContext,
  http: Http,
  { agent }: Config,
  wanted: SignedProgram,
): Promise<SignedRelease | undefined> {
  if (context.releaseKeys.roots.length === 0) {
    return undefined;
  }
  const { files, places, signal } = context;
  const directory = `${places.versionsDirectory}/${wanted.version}`;
  const here = await readSignedRelease(files, directory);
  if (here !== undefined) {
    const expired = await checked(context, wanted, here, directory);
    if (expired === undefined) {
      return here;
    }
  }
  const base = withoutEnd(agent.base_url ?? DEFAULT_BASE_URL, '/');
  const url = `${base}/${wanted.version}`;
  const fetched = await fetchSignedRelease({ ...context, http }, url, signal);
  const expired = await checked(context, wanted, fetched, url);
  if (expired !== undefined) {
    throw expired;
  }
  return fetched;
}

/** @returns that it has expired: the place may have it with a new signature. */
async function checked(
  { clock, files, releaseKeys, signal }: MachineContext,
  { version, platform, path, allowExpired }: SignedProgram,
  signed: SignedRelease,
  from: string,
): Promise<AgentError | undefined> {
  const wish = { from, now: clock.now(), version, channel: undefined, installed: undefined };
  try {
    const { manifest } = verifyRelease(releaseKeys, signed, { ...wish, allowExpired });
    const hash = runningHash();
    const sizeBytes = await hash.updateFrom(files, path, signal);
    const found = { path, sizeBytes, sha256: hash.hex() };
    checkListed(listedFile(manifest, `pipeops-agent-${platform}`), found);
    return undefined;
  } catch (thrown) {
    const error = expectedError(thrown);
    if (error.code !== 'RELEASE_EXPIRED') {
      throw error;
    }
    return error;
  }
}
