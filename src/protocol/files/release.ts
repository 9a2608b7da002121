/**
 * What is signed of a release (docs/RELEASING.md). Beside each of the two files stands its signature: base64
 * of an Ed25519 signature (RFC 8032) of its bytes. install.sh reads them line by line, in the form that
 * scripts/release.ts writes: two blanks, one field a line.
 */
import * as z from 'zod';

/** The newest form that is read here: `v` of a file is the oldest reader that may use it. */
export const RELEASE_READER = 1;
/** Each of the signed files, and each signature. */
export const RELEASE_FILE_LIMIT_BYTES = 64 * 1024;

const FILES_MAX = 64;
/** A program has about 120 MB. */
const FILE_SIZE_MAX = 1024 * 1024 * 1024;

/** The names in a release's directory, beside the program on a machine, and in a bundle. */
export const RELEASE_FILE_NAMES = {
  manifest: 'release.json',
  manifestSignature: 'release.json.sig',
  key: 'release-key.json',
  keySignature: 'release-key.json.sig',
} as const;

/**
 * The names of the newest release of a channel, at the top. Each channel has its own key file: where a new key has
 * signed one channel, the others are still signed by the one before. No channel's name has a dot.
 */
export function channelFileNames(channel: string): Record<keyof typeof RELEASE_FILE_NAMES, string> {
  return {
    manifest: `${channel}.json`,
    manifestSignature: `${channel}.json.sig`,
    key: `${channel}.key.json`,
    keySignature: `${channel}.key.json.sig`,
  };
}

/** The four texts, as they were served. */
export type SignedRelease = Readonly<Record<keyof typeof RELEASE_FILE_NAMES, string>>;

/** With seconds, in UTC: install.sh compares the digits. */
const Instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
const PublicKey = z.string().regex(/^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=$/);

/** release-key.json: which key signs releases, said by a root key. */
export const ReleaseKey = z.looseObject({
  v: z.int().min(1),
  purpose: z.string().max(64),
  /** A higher one replaces all lower ones. */
  number: z.int().min(1),
  public_key: PublicKey,
  issued: Instant,
  expires: Instant,
});
export type ReleaseKey = z.infer<typeof ReleaseKey>;

/** A name that leads nowhere but into its own directory. */
const FileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/);
const ReleaseFile = z.looseObject({
  name: FileName,
  size: z.int().min(0).max(FILE_SIZE_MAX),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ReleaseFile = z.infer<typeof ReleaseFile>;

const Version = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/);

/** release.json: what a release is, said by a release key. */
export const ReleaseManifest = z.looseObject({
  v: z.int().min(1),
  version: Version,
  channel: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  commit: z.string().max(64),
  released: Instant,
  /** After that it is not taken for the newest any more. */
  expires: Instant,
  /** The oldest version that may be upgraded to this one in one step. */
  min_version: Version,
  /** What runs, unpacked: `pipeops-agent-linux-x64`. */
  programs: z.array(ReleaseFile).min(1).max(FILES_MAX),
  /** What is downloaded. */
  files: z.array(ReleaseFile).max(FILES_MAX),
});
export type ReleaseManifest = z.infer<typeof ReleaseManifest>;

/** The file that scripts/build.ts compiles into the program. */
export const ReleaseKeysFile = z.strictObject({
  purpose: z.string().min(1).max(64),
  oldest_key: z.int().min(1),
  roots: z.array(PublicKey).max(8),
});
