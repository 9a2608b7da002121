/** Releases for tests, signed with keys that exist only for one test. */
import { join } from 'node:path';
import {
  certify,
  jsonText,
  makeKeys,
  readSigningKey,
  type SigningKey,
  TEST_PURPOSE,
} from '../../scripts/release/key-directory.ts';
import type { ReleaseKeys } from '../../src/core/release-keys.ts';
import type { ReleaseFile, SignedRelease } from '../../src/protocol/files/release.ts';
import { tempDirectory } from './temp-dir.ts';

const KEY_DAYS = 30;

export interface TestKeys extends AsyncDisposable {
  readonly directory: string;
  /** What a program is built with that knows them. */
  readonly keys: ReleaseKeys;
  /** The present release key. */
  readonly signing: () => Promise<SigningKey>;
  /** Makes a new release key. */
  readonly replace: (now: Date) => Promise<void>;
}

/** @param now when they are made: the release key lasts 30 days */
export async function testKeys(now: Date, purpose = TEST_PURPOSE): Promise<TestKeys> {
  const temporary = await tempDirectory();
  const directory = join(temporary.path, 'keys');
  await makeKeys(directory, { purpose, now, days: KEY_DAYS });
  const signing = () => readSigningKey(directory);
  return {
    directory,
    keys: (await signing()).keys,
    signing,
    replace: async (then) => void (await certify(directory, { now: then, days: KEY_DAYS })),
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}

export interface ManifestContent {
  readonly version: string;
  readonly channel: string;
  readonly released: string;
  readonly expires: string;
  readonly min_version: string;
  readonly programs: readonly ReleaseFile[];
  readonly files: readonly ReleaseFile[];
}

/** @param content fields in another form, too: whatever a key can sign */
export async function signedRelease(
  { signing }: Pick<TestKeys, 'signing'>,
  content: Readonly<Record<string, unknown>> & ManifestContent,
): Promise<SignedRelease> {
  const key = await signing();
  const manifest = jsonText({ v: 1, commit: 'abc', ...content });
  return {
    manifest,
    manifestSignature: key.sign(manifest),
    key: key.certificate,
    keySignature: key.certificateSignature,
  };
}

/** As a manifest lists it. */
export function listed(name: string, content: Uint8Array | string): ReleaseFile {
  const bytes = Buffer.from(content);
  const sha256 = new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
  return { name, size: bytes.length, sha256 };
}
