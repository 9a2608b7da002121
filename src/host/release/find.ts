/** Asks the place of releases for one, and checks its signatures; nothing of its program is fetched. */
import { dirname } from 'node:path';
import { DEFAULT_BASE_URL, type Places } from '../../core/places.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import type { ReleaseKeys } from '../../core/release-keys.ts';
import { withoutEnd } from '../../core/text/without-end.ts';
import type { SignedRelease } from '../../protocol/files/release.ts';
import { executablePath } from '../agent/executable.ts';
import { fetchChannel, fetchSignedRelease, readSignedRelease } from './signed-files.ts';
import { keyNumberOf, type VerifiedRelease, verifyRelease } from './verify.ts';

export interface FindingDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
  readonly places: Places;
  readonly releaseKeys: ReleaseKeys;
}

export interface ReleaseWanted {
  /** The newest of the channel when undefined. */
  readonly version: string | undefined;
  readonly channel: string;
  /** Version that is installed here. */
  readonly installed: string;
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
    installed: { version: installed, keyNumber: await installedKeyNumber(deps, installed) },
  });
  return { release, signed, url: `${base}/${release.manifest.version}` };
}

/** 0 where it was installed without signatures, or nobody has checked them. */
export async function installedKeyNumber(
  { files, places, releaseKeys }: Pick<FindingDeps, 'files' | 'places' | 'releaseKeys'>,
  version: string,
): Promise<number> {
  const signed = await readSignedRelease(files, dirname(executablePath(places, version)));
  return signed === undefined ? 0 : keyNumberOf(releaseKeys, signed);
}
