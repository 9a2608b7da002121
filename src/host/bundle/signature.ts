/** Who made the program in a bundle. k3s, its installer and its images have only the hashes of the bundle. */
import { AgentError } from '../../core/errors.ts';
import type { ReleaseKeys } from '../../core/release-keys.ts';
import type { ReleasePart } from '../../protocol/files/bundle.ts';
import { RELEASE_FILE_NAMES, type SignedRelease } from '../../protocol/files/release.ts';
import {
  checkListed,
  listedFile,
  type ReleaseWish,
  type VerifiedRelease,
  verifyRelease,
} from '../release/verify.ts';
import type { Bundle } from './verify.ts';
import type { BundleSource } from './write.ts';

const PART_OF: Readonly<Record<keyof SignedRelease, ReleasePart>> = {
  manifest: 'release-manifest',
  manifestSignature: 'release-manifest-signature',
  key: 'release-key',
  keySignature: 'release-key-signature',
};

/** The signed texts as parts of a bundle. @param directory where `writeSignedRelease` has put them */
export function signatureSources(directory: string): readonly BundleSource[] {
  return (Object.keys(PART_OF) as (keyof SignedRelease)[]).map((each) => {
    const name = RELEASE_FILE_NAMES[each];
    return { part: PART_OF[each], name, path: `${directory}/${name}` };
  });
}

/**
 * @returns the release of its program; undefined where this program was built without keys, and so can
 *   check none
 * @throws AgentError RELEASE_UNTRUSTED, RELEASE_EXPIRED, RELEASE_REFUSED
 */
export function verifyBundledProgram(
  keys: ReleaseKeys,
  { path, manifest, signed, file }: Bundle,
  judged: Pick<ReleaseWish, 'now' | 'allowExpired' | 'installed'>,
): VerifiedRelease | undefined {
  if (keys.roots.length === 0) {
    return undefined;
  }
  if (signed === undefined) {
    throw new AgentError(
      'RELEASE_UNTRUSTED',
      `Cannot trust the bundle ${path}: it has no signature`,
      {
        hint: 'Make it with the program of a release: pipeops-agent bundle create',
      },
    );
  }
  const { version } = manifest.agent;
  const release = verifyRelease(keys, signed, {
    ...judged,
    ...{ from: `the bundle ${path}`, version, channel: undefined },
  });
  const processor = manifest.architecture === 'amd64' ? 'x64' : 'arm64';
  const { name, sizeBytes, sha256 } = file('agent');
  const found = { path: `${name} in ${path}`, sizeBytes, sha256 };
  checkListed(listedFile(release.manifest, `pipeops-agent-linux-${processor}`), found);
  return release;
}
