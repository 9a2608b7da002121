/** Signs the releases in a directory, and says which is the newest. Needs a release key and no root key. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyRelease } from '../../src/host/release/verify.ts';
import { channelFileNames, RELEASE_FILE_NAMES } from '../../src/protocol/files/release.ts';
import { checkContent, manifestIn, versionsIn } from './check.ts';
import {
  instant,
  jsonText,
  readSigningKey,
  refuseWrongKeys,
  type SigningKey,
} from './key-directory.ts';

const DAY_MS = 86_400_000;
/** Its newest release is in the file `latest` and has its install.sh at the top. */
export const MAIN_CHANNEL = 'stable';

export interface Signing {
  readonly keysDirectory: string;
  readonly out: string;
  readonly isTest: boolean;
  readonly now: Date;
  /** How long a release is taken for the newest one. */
  readonly days: number;
}

/**
 * Signs every version in the directory, old ones anew: after a release key was replaced, all go on.
 * @returns the versions
 * @throws ReleaseProblem
 */
export async function signReleases(wanted: Signing): Promise<readonly string[]> {
  const signing = await readSigningKey(wanted.keysDirectory);
  refuseWrongKeys(signing.keys, wanted.isTest);
  const versions = await versionsIn(wanted.out);
  const newest = new Map<string, string>();
  for (const version of versions) {
    const channel = await signVersion(signing, join(wanted.out, version), version, wanted);
    if (!newest.has(channel)) {
      newest.set(channel, version);
    }
  }
  for (const [channel, version] of newest) {
    await publishNewest(wanted.out, channel, version);
  }
  return versions;
}

/** @returns its channel */
async function signVersion(
  signing: SigningKey,
  directory: string,
  version: string,
  { now, days }: Signing,
): Promise<string> {
  const before = await manifestIn(directory);
  await checkContent(directory, before, signing.keys);
  const manifest = jsonText({
    ...before,
    expires: instant(new Date(now.getTime() + days * DAY_MS)),
  });
  const signed = {
    manifest,
    manifestSignature: signing.sign(manifest),
    key: signing.certificate,
    keySignature: signing.certificateSignature,
  };
  // As a machine will: a key that has expired, or that no root has signed, is found here.
  const { manifest: read } = verifyRelease(signing.keys, signed, {
    ...{ from: directory, now, version, channel: undefined },
    ...{ installed: undefined, allowExpired: false },
  });
  await writeFile(join(directory, RELEASE_FILE_NAMES.manifest), signed.manifest);
  await writeFile(join(directory, RELEASE_FILE_NAMES.manifestSignature), signed.manifestSignature);
  await writeFile(join(directory, RELEASE_FILE_NAMES.key), signed.key);
  await writeFile(join(directory, RELEASE_FILE_NAMES.keySignature), signed.keySignature);
  return read.channel;
}

/** `latest` is for all that know no manifest, and comes last: what it names is whole then. */
async function publishNewest(out: string, channel: string, version: string): Promise<void> {
  const directory = join(out, version);
  const names = channelFileNames(channel);
  for (const part of ['key', 'keySignature', 'manifestSignature', 'manifest'] as const) {
    await copyFile(join(directory, RELEASE_FILE_NAMES[part]), join(out, names[part]));
  }
  if (channel === MAIN_CHANNEL) {
    await copyFile(join(directory, 'install.sh'), join(out, 'install.sh'));
    await writeFile(join(out, 'latest'), `${version}\n`);
  }
}
