/**
 * Whether a release is one of ours: a root key of this program has signed the release key, and that one
 * the manifest (docs/decisions/0037-signed-releases.md). Nothing is read of a text before its signature fits.
 */
import { createPublicKey, verify } from 'node:crypto';
import type { ZodType } from 'zod';
import { AgentError } from '../../core/errors.ts';
import type { ReleaseKeys } from '../../core/release-keys.ts';
import { compareVersions } from '../../core/text/compare-versions.ts';
import { StateVersion } from '../../protocol/files/host-state.ts';
import {
  RELEASE_READER,
  type ReleaseFile,
  ReleaseKey,
  ReleaseManifest,
  type SignedRelease,
} from '../../protocol/files/release.ts';
import { parseJson } from '../engine/parse-json.ts';

/** Set to `yes`, it lets a release pass that has expired; everything else is checked as ever. */
export const ALLOW_EXPIRED_VARIABLE = 'PIPEOPS_ALLOW_EXPIRED';

/** What a release must be. */
export interface ReleaseWish {
  /** Where it comes from: begins the errors. */
  readonly from: string;
  readonly now: Date;
  /** The version that was asked for by name; undefined: the newest was asked for, so it must be current. */
  readonly version: string | undefined;
  /** Of whom the newest was asked; undefined: whatever the version is in. */
  readonly channel: string | undefined;
  /** What is installed here. The newest is not older, and its key neither. */
  readonly installed: { readonly version: string; readonly keyNumber: number } | undefined;
  /** Whether somebody has said that it may have expired. */
  readonly allowExpired: boolean;
}

export interface VerifiedRelease {
  readonly manifest: ReleaseManifest;
  readonly key: ReleaseKey;
  /** This machine's clock is before the release was made: nothing can be told of what has expired. */
  readonly isClockBehind: boolean;
}

/**
 * @throws AgentError RELEASE_UNTRUSTED (signature, key, form), RELEASE_EXPIRED (by the machine's clock),
 *   RELEASE_REFUSED (another version or channel, an older one, too large a step, too new a form)
 */
export function verifyRelease(
  keys: ReleaseKeys,
  signed: SignedRelease,
  wish: ReleaseWish,
): VerifiedRelease {
  const key = verifiedKey(keys, signed, wish);
  if (!isSignedBy(key.public_key, signed.manifest, signed.manifestSignature)) {
    throw untrusted(wish, `release key ${key.number} has not signed its manifest`);
  }
  const manifest = readSigned(ReleaseManifest, signed.manifest, 'manifest', wish);
  const released = Date.parse(manifest.released);
  refuseExpired(`Release key ${key.number} of ${wish.from}`, key.expires, wish);
  if (wish.version === undefined) {
    refuseExpired(`What ${wish.from} calls the newest release`, manifest.expires, wish);
  }
  refuseOther(manifest, wish);
  return { manifest, key, isClockBehind: wish.now.getTime() < released };
}

/** The number of the key of an installed release; 0 where no root key of this program has signed it. */
export function keyNumberOf({ roots }: ReleaseKeys, { key, keySignature }: SignedRelease): number {
  return roots.some((root) => isSignedBy(root, key, keySignature))
    ? (ReleaseKey.safeParse(parseJson(key)).data?.number ?? 0)
    : 0;
}

function verifiedKey(keys: ReleaseKeys, signed: SignedRelease, wish: ReleaseWish): ReleaseKey {
  if (keys.roots.length === 0) {
    throw new AgentError(
      'RELEASE_UNTRUSTED',
      `Cannot check ${wish.from}: this program was built without release keys`,
      {
        hint: 'Use a program of a release, or build one with keys of your own: docs/RELEASING.md',
      },
    );
  }
  if (!keys.roots.some((root) => isSignedBy(root, signed.key, signed.keySignature))) {
    throw untrusted(wish, 'its release key is signed by no root key that this program knows');
  }
  const key = readSigned(ReleaseKey, signed.key, 'release key', wish);
  if (key.purpose !== keys.purpose) {
    throw untrusted(wish, `its release key is for "${key.purpose}", not for "${keys.purpose}"`);
  }
  const oldest = Math.max(keys.oldest_key, wish.installed?.keyNumber ?? 0);
  if (key.number < oldest) {
    throw untrusted(
      wish,
      `release key ${key.number} was replaced: ${oldest} is the oldest one taken`,
    );
  }
  return key;
}

function refuseOther(manifest: ReleaseManifest, wish: ReleaseWish): void {
  const { version, channel, min_version } = manifest;
  if (wish.version !== undefined && version !== wish.version) {
    throw refused(
      `${wish.from} holds version ${version}, not ${wish.version}`,
      'Check what the place or mirror serves',
    );
  }
  if (wish.channel !== undefined && channel !== wish.channel) {
    throw refused(
      `${wish.from} holds a release of the channel "${channel}", not of "${wish.channel}"`,
      `Name the version to take it all the same: ${version}`,
    );
  }
  const { installed } = wish;
  if (installed === undefined) {
    return;
  }
  if (wish.version === undefined && compareVersions(version, installed.version) < 0) {
    throw refused(
      `What ${wish.from} calls the newest is ${version}, and here is ${installed.version}`,
      `Check the place or mirror: it serves something old. To go back on purpose, name the version: ${version}`,
    );
  }
  if (compareVersions(installed.version, min_version) < 0) {
    throw refused(
      `${version} can follow ${min_version} and newer, and here is ${installed.version}`,
      `Install ${min_version} first`,
    );
  }
}

/**
 * The entry of a program or file in a manifest.
 * @throws AgentError RELEASE_REFUSED where the release has none
 */
export function listedFile(manifest: ReleaseManifest, name: string): ReleaseFile {
  const found = [...manifest.programs, ...manifest.files].find((file) => file.name === name);
  if (found === undefined) {
    throw refused(`Release ${manifest.version} has no ${name}`, 'Choose another version');
  }
  return found;
}

/** @throws AgentError RELEASE_UNTRUSTED where a file is not, to the byte, the one of the manifest */
export function checkListed(
  listed: ReleaseFile,
  found: { readonly path: string; readonly sizeBytes: number; readonly sha256: string },
): void {
  const why =
    found.sizeBytes !== listed.size
      ? `it has ${found.sizeBytes} bytes and not ${listed.size}`
      : found.sha256 !== listed.sha256
        ? 'its SHA-256 is another one'
        : undefined;
  if (why !== undefined) {
    throw new AgentError(
      'RELEASE_UNTRUSTED',
      `${found.path} is not the signed ${listed.name}: ${why}`,
      {
        hint: 'Fetch it again; a program that somebody built is not the one of the release',
      },
    );
  }
}

/** @param keyText base64 of DER @param signature base64 */
function isSignedBy(keyText: string, text: string, signature: string): boolean {
  try {
    const key = createPublicKey({
      key: Buffer.from(keyText, 'base64'),
      format: 'der',
      type: 'spki',
    });
    return (
      key.asymmetricKeyType === 'ed25519' &&
      verify(null, Buffer.from(text), key, Buffer.from(signature.trim(), 'base64'))
    );
  } catch {
    return false; // What is no key and no signature fits nothing.
  }
}

/** Of a text whose signature fits. */
function readSigned<T>(schema: ZodType<T>, text: string, what: string, wish: ReleaseWish): T {
  const json = parseJson(text);
  const needs = StateVersion.safeParse(json).data?.v ?? 0;
  if (needs > RELEASE_READER) {
    throw refused(
      `The ${what} of ${wish.from} needs a newer reader (${needs}; this one is ${RELEASE_READER})`,
      'Take a release in between first, or install with a current install.sh',
    );
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join('.') || 'the top';
    throw untrusted(wish, `its ${what} is wrong at ${at}`);
  }
  return parsed.data;
}

function refuseExpired(what: string, expires: string, wish: ReleaseWish): void {
  if (wish.now.getTime() < Date.parse(expires) || wish.allowExpired) {
    return;
  }
  const clock = wish.now.toISOString().replace(/\.\d+/, '');
  throw new AgentError(
    'RELEASE_EXPIRED',
    `${what} expired at ${expires}; the clock here says ${clock}`,
    {
      hint:
        'If that clock is wrong, set it (timedatectl set-time "YYYY-MM-DD hh:mm:ss"). If it is right, the place serves ' +
        `something old: use another one or a newer version. ${ALLOW_EXPIRED_VARIABLE}=yes leaves out this check alone`,
      details: { expires, clock },
    },
  );
}

function untrusted(wish: ReleaseWish, why: string): AgentError {
  return new AgentError('RELEASE_UNTRUSTED', `Cannot trust ${wish.from}: ${why}`, {
    hint: 'Nothing of it was used. Try again, then from the original place; if it stays so, somebody has changed it, or this program is too old to know its key',
  });
}

function refused(message: string, hint: string): AgentError {
  return new AgentError('RELEASE_REFUSED', message, { hint });
}
