/** Asks the place of releases for one, and checks its signatures; nothing of its program is fetched. */
import { DEFAULT_BASE_URL } from '../../core/places.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import type { ReleaseKeys } from '../../core/release-keys.ts';
import { withoutEnd } from '../../core/text/without-end.ts';
import type { SignedRelease } from '../../protocol/files/release.ts';
import { fetchChannel, fetchSignedRelease, readSignedRelease } from './signed-files.ts';
import { keyNumberOf, type VerifiedRelease, verifyRelease } from './verify.ts';

export interface FindingDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
  readonly releaseKeys: ReleaseKeys;
}

/** What is here. */
export interface InstalledRelease {
  readonly version: string;
  /** Of its program; its signatures stand beside it. */
  readonly directory: string;
}

export interface ReleaseWanted {
  /** The newest of the channel when undefined. */
  readonly version: string | undefined;
  readonly channel: string;
  readonly installed: InstalledRelease;
  /** Whether somebody has said that it may have expired. */
  readonly allowExpired: boolean;
}

export interface FoundRelease {
  readonly release: VerifiedRelease;
  readonly signed: SignedRelease;
  /** Of its directory. */
  readonly url: string;
}

/** Of all releases, without a slash at its end. @param setting `agent.base_url` */
export function placeOfReleases(setting: string | undefined): string {
  return withoutEnd(setting ?? DEFAULT_BASE_URL, '/');
}

/** @throws AgentError RELEASE_UNTRUSTED, RELEASE_EXPIRED, RELEASE_REFUSED, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT */
export async function findRelease(
  deps: FindingDeps,
  base: string,
  { version, channel, installed, allowExpired }: ReleaseWanted,
  signal: AbortSignal,
): Promise<FoundRelease> {
  const signed =
    version === undefined
      ? await fetchChannel(deps, base, channel, signal)
      : await fetchSignedRelease(deps, `${base}/${version}`, signal);
  const release = verifyRelease(deps.releaseKeys, signed, {
    ...{ from: base, now: deps.clock.now(), version, allowExpired },
    channel: version === undefined ? channel : undefined,
    installed: {
      version: installed.version,
      keyNumber: await installedKeyNumber(deps, installed.directory),
    },
  });
  return { release, signed, url: `${base}/${release.manifest.version}` };
}

/** 0 where it was installed without signatures, or nobody has checked them. */
export async function installedKeyNumber(
  { files, releaseKeys }: Pick<FindingDeps, 'files' | 'releaseKeys'>,
  directory: string,
): Promise<number> {
  const signed = await readSignedRelease(files, directory);
  return signed === undefined ? 0 : keyNumberOf(releaseKeys, signed);
}
