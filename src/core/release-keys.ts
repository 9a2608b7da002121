declare const BUILD_RELEASE_KEYS: ReleaseKeys | undefined;

/** By what this program knows a release (docs/RELEASING.md). */
export interface ReleaseKeys {
  /** What the keys are for: those of tests are never those of a release. */
  readonly purpose: string;
  /** The lowest number of a release key that is still taken: older ones are revoked. */
  readonly oldest_key: number;
  /** The public halves of the root keys: Ed25519, as base64 of DER (RFC 8410). */
  readonly roots: readonly string[];
}

/** A program that was built without keys can check no release. */
export const NO_RELEASE_KEYS: ReleaseKeys = { purpose: 'release', oldest_key: 1, roots: [] };

/** Set by scripts/build.ts with `--define`, from scripts/release/keys.json; from source there are none. */
export const RELEASE_KEYS: ReleaseKeys =
  typeof BUILD_RELEASE_KEYS === 'object' ? BUILD_RELEASE_KEYS : NO_RELEASE_KEYS;
