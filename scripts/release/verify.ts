/** Looks at a signed release directory as machines will, and at every byte in it. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../../src/core/errors.ts';
import type { ReleaseKeys } from '../../src/core/release-keys.ts';
import { verifyRelease } from '../../src/host/release/verify.ts';
import {
  channelFileNames,
  RELEASE_FILE_NAMES,
  type SignedRelease,
} from '../../src/protocol/files/release.ts';
import { checkContent, checkInstallScript, versionsIn } from './check.ts';
import { readPublicKeys, refuseWrongKeys } from './key-directory.ts';
import { ReleaseProblem } from './problem.ts';
import { MAIN_CHANNEL } from './sign.ts';

/** @returns the versions. @throws ReleaseProblem */
export async function verifyReleases(wanted: {
  readonly keysDirectory: string;
  readonly directory: string;
  readonly isTest: boolean;
  readonly now: Date;
}): Promise<readonly string[]> {
  const { directory, now } = wanted;
  const keys = await readPublicKeys(wanted.keysDirectory);
  refuseWrongKeys(keys, wanted.isTest);
  const versions = await versionsIn(directory);
  const newest = new Map<string, string>();
  for (const version of versions) {
    const at = join(directory, version);
    const signed = await signedIn(at, RELEASE_FILE_NAMES);
    const manifest = verified(keys, signed, { from: at, now, version, channel: undefined });
    await checkContent(at, manifest, keys);
    if (!newest.has(manifest.channel)) {
      newest.set(manifest.channel, version);
    }
  }
  for (const [channel, version] of newest) {
    const names = channelFileNames(channel);
    const signed = await signedIn(directory, names);
    const from = join(directory, names.manifest);
    const found = verified(keys, signed, { from, now, version: undefined, channel });
    if (found.version !== version) {
      throw new ReleaseProblem(`${from} names ${found.version}, and the newest is ${version}`);
    }
  }
  await checkTop(directory, newest, keys);
  return versions;
}

async function checkTop(
  directory: string,
  newest: ReadonlyMap<string, string>,
  keys: ReleaseKeys,
): Promise<void> {
  const version = newest.get(MAIN_CHANNEL);
  const ofMain = version === undefined ? [] : ['install.sh', 'latest'];
  const expected = [
    ...(await versionsIn(directory)),
    ...[...newest.keys()].flatMap((channel) => Object.values(channelFileNames(channel))),
    ...ofMain,
  ];
  const other = (await readdir(directory)).filter((name) => !expected.includes(name));
  if (other.length > 0) {
    throw new ReleaseProblem(`${directory}: belongs to no release: ${other.join(', ')}`);
  }
  if (version === undefined) {
    return;
  }
  await checkInstallScript(join(directory, 'install.sh'), keys);
  const latest = await Bun.file(join(directory, 'latest')).text();
  const top = await Bun.file(join(directory, 'install.sh')).text();
  if (
    latest !== `${version}\n` ||
    top !== (await Bun.file(join(directory, version, 'install.sh')).text())
  ) {
    throw new ReleaseProblem(`${directory}: latest or install.sh is not of ${version}`);
  }
}

async function signedIn(
  directory: string,
  names: Readonly<Record<keyof SignedRelease, string>>,
): Promise<SignedRelease> {
  const read = async (name: string) => {
    const file = Bun.file(join(directory, name));
    if (!(await file.exists())) {
      throw new ReleaseProblem(`There is no ${join(directory, name)}: it is not signed`);
    }
    return await file.text();
  };
  return {
    manifest: await read(names.manifest),
    manifestSignature: await read(names.manifestSignature),
    key: await read(names.key),
    keySignature: await read(names.keySignature),
  };
}

function verified(
  keys: ReleaseKeys,
  signed: SignedRelease,
  wish: Pick<Parameters<typeof verifyRelease>[2], 'from' | 'now' | 'version' | 'channel'>,
) {
  try {
    const rest = { installed: undefined, allowExpired: false };
    return verifyRelease(keys, signed, { ...wish, ...rest }).manifest;
  } catch (thrown) {
    throw thrown instanceof AgentError ? new ReleaseProblem(thrown.message) : thrown;
  }
}
