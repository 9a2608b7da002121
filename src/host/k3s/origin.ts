/** Where an installation takes k3s from: the network. Without one it is a bundle (host/bundle). */
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import { downloadText, redirectTarget } from '../engine/download.ts';
import { downloadFile } from '../engine/download-file.ts';
import { hashOfFile } from '../engine/file-hash.ts';
import { moveFile } from '../engine/place-file.ts';
import {
  fromFirst,
  type K3sArchitecture,
  parseSums,
  programName,
  type ReleasePlace,
  releasePlaces,
  sumsName,
} from './release-places.ts';

const CHANNEL = 'stable';
/** k3s' installer has about 40 KB. */
const INSTALLER_LIMIT_BYTES = 1024 * 1024;
const SUMS_LIMIT_BYTES = 64 * 1024;
/** k3s has about 80 MB; the one for tests, which is not packed, more. */
export const PROGRAM_LIMIT_BYTES = 512 * 1024 * 1024;
export const PROGRAM_MODE = 0o755;

/** What an installation of k3s needs from outside. */
export interface K3sOrigin {
  /** The version that is meant when nobody named one. @param channel `stable` unless told otherwise */
  readonly newestVersion: (signal: AbortSignal, channel?: string) => Promise<string>;
  readonly installer: (signal: AbortSignal) => Promise<string>;
  /** Puts the program into a place, complete and checked. */
  readonly placeProgram: (
    version: string,
    path: string,
    update: (text: string) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Of the installer's own downloads (GITHUB_URL); undefined: its usual ones. */
  readonly releasesUrl: string | undefined;
  /** Whether the installer may fetch what it wants beside k3s: rules for SELinux. */
  readonly isOnline: boolean;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly places: Places;
  /** The way to downloads: through the proxy, where there is one. */
  readonly http: Http;
}

/** @param mirrors tried in turn; k3s' own places where there are none */
export function networkOrigin(
  deps: Deps,
  mirrors: readonly string[],
  architecture: K3sArchitecture,
): K3sOrigin {
  const places = releasePlaces(mirrors);
  return {
    newestVersion: (signal, channel = CHANNEL) =>
      fromFirst(places, (place) => channelVersion(deps, place, channel, signal)),
    installer: (signal) => fromFirst(places, (place) => fetchInstaller(deps, place, signal)),
    placeProgram: (version, path, update, signal) =>
      placeProgram(deps, { places, version, architecture }, path, update, signal),
    releasesUrl: places[0]?.releasesUrl,
    isOnline: true,
  };
}

/**
 * The version a channel stands at: the last part of where it redirects to (docs.k3s.io, "Release
 * channels"). Asked by us and not by the installer, so that what is installed is known and shown.
 */
async function channelVersion(
  deps: Deps,
  place: ReleasePlace,
  channel: string,
  signal: AbortSignal,
): Promise<string> {
  const url = place.channelUrl(channel);
  const location = (await redirectTarget(deps, url, signal)) ?? '';
  const version = decodeURIComponent(location.split('/').at(-1) ?? '');
  if (!/^v\d+\.\d+\.\d+[-+.\w]*$/.test(version)) {
    throw new AgentError('DOWNLOAD_FAILED', `Cannot learn the version of k3s from ${url}`, {
      hint: 'Name a version: --k3s-version v1.36.3+k3s1',
      details: { location },
    });
  }
  return version;
}

async function fetchInstaller(
  deps: Deps,
  { installerUrl }: ReleasePlace,
  signal: AbortSignal,
): Promise<string> {
  const text = await downloadText(deps, installerUrl, INSTALLER_LIMIT_BYTES, signal);
  // A captive portal answers with a page; a shell would run it line by line.
  if (!text.startsWith('#!/bin/sh')) {
    throw new AgentError(
      'DOWNLOAD_CORRUPT',
      `What ${installerUrl} sent is not the installer of k3s`,
      { hint: 'Check that no proxy or portal answers in its place' },
    );
  }
  return text;
}

export interface Release {
  readonly places: readonly ReleasePlace[];
  readonly version: string;
  readonly architecture: K3sArchitecture;
}

/** Fetched by us and not by the installer: that one has no limits, and begins again each time. */
async function placeProgram(
  deps: Deps,
  release: Release,
  target: string,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const name = programName(release.architecture);
  const sha256 = (await fetchSums(deps, release, signal)).get(name) ?? '';
  if (sha256 === '') {
    throw new AgentError('DOWNLOAD_CORRUPT', `k3s ${release.version} has no hash of ${name}`, {
      hint: 'Name another version (--k3s-version), or check what the mirror has',
    });
  }
  if ((await hashOfFile(deps.files, target, signal)) === sha256) {
    return;
  }
  const directory = deps.places.downloadDirectory;
  const path = `${directory}/${name}-${release.version}`;
  const urls = release.places.map((place) => place.fileUrl(release.version, name));
  const told = (text: string) => update(`fetching k3s ${release.version}: ${text}`);
  const wanted = { urls, sha256, limitBytes: PROGRAM_LIMIT_BYTES, path };
  await downloadFile(deps, wanted, told, signal);
  const sizeBytes = (await deps.files.stat(path))?.size ?? 0;
  await moveFile(
    deps.files,
    { path, offset: 0, sizeBytes, sha256 },
    { path: target, mode: PROGRAM_MODE },
    signal,
  );
  await deps.files.removeTree(directory);
}

export async function fetchSums(
  deps: Pick<Deps, 'clock' | 'http'>,
  { places, version, architecture }: Release,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const name = sumsName(architecture);
  return fromFirst(places, async (place) =>
    parseSums(await downloadText(deps, place.fileUrl(version, name), SUMS_LIMIT_BYTES, signal)),
  );
}
