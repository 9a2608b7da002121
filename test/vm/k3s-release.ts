/**
 * Where the k3s that tests install comes from: the k3s for tests, or with K3S_RELEASE in the
 * environment (`v1.36.3+k3s1`) that real release, downloaded once from k3s' own places.
 */

import { join } from 'node:path';
import { buildOnce, contentHash } from './cache.ts';
import { runCommand } from './host-command.ts';
import { buildK3s, K3S_INSTALLER, K3S_VERSION } from './k3s-build.ts';
import type { Tell } from './progress.ts';

const DOWNLOAD_TIMEOUT_MS = 600_000;
/** A network that has not answered by then does not lead there. */
const ANSWER_TIMEOUT_MS = 4_000;
/** Slower than so many bytes each second, for so many seconds, is not worth waiting for. */
const SLOWEST = { bytes: 200_000, seconds: 5 };

/** Where releases of k3s are published. */
export interface K3sPlaces {
  /** Redirects to an address that ends with the version. */
  readonly channel: string;
  /** In it, a directory for each version. */
  readonly releases: string;
  readonly installer: string;
}

const PUBLIC_PLACES: K3sPlaces = {
  channel: 'https://update.k3s.io/v1-release/channels/stable',
  releases: 'https://github.com/k3s-io/k3s/releases/download',
  installer: 'https://get.k3s.io',
};

export interface K3sRelease {
  readonly version: string;
  /** Path of the binary for this host's architecture. */
  readonly binary: string;
  /** Path of the installer script. */
  readonly installer: string;
}

/** k3s' own places, or a mirror in the shape of PIPEOPS_K3S_MIRROR. */
export function k3sPlaces(mirror: string | undefined): K3sPlaces {
  return mirror === undefined || mirror === ''
    ? PUBLIC_PLACES
    : {
        channel: `${mirror}/channels/stable`,
        releases: `${mirror}/download`,
        installer: `${mirror}/install.sh`,
      };
}

/**
 * Builds or downloads it, or takes it from the cache.
 * @param version another one than the one to test, for upgrades. The k3s for tests is the same
 *   program under any name; with K3S_RELEASE it must be one that k3s published.
 */
export async function prepareK3sRelease(version?: string, tell?: Tell): Promise<K3sRelease> {
  const real = process.env['K3S_RELEASE'] ?? '';
  if (real === '') {
    const name = version ?? K3S_VERSION;
    return { version: name, binary: await buildK3s(name, tell), installer: K3S_INSTALLER };
  }
  try {
    return await downloadRelease(version ?? real, PUBLIC_PLACES, tell);
  } catch (cause) {
    throw new Error(
      'K3S_RELEASE asks for a release that cannot be had. Unset it to use the k3s for tests, which needs no download.',
      { cause },
    );
  }
}

export interface ChosenK3s {
  readonly release: K3sRelease;
  readonly source: 'release' | 'stand-in';
  /** Where it comes from, or why no release does: part of a sentence. */
  readonly because: string;
}

/**
 * The newest stable release where one can be reached, which is known within seconds; else the k3s for tests.
 * @param standIn makes that one
 */
export async function chooseK3s(
  places: K3sPlaces,
  standIn: () => Promise<K3sRelease>,
  tell?: Tell,
): Promise<ChosenK3s> {
  try {
    const release = await downloadRelease(await newestVersion(places), places, tell);
    return { release, source: 'release', because: `from ${places.releases}` };
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    return { release: await standIn(), source: 'stand-in', because };
  }
}

async function newestVersion({ channel }: K3sPlaces): Promise<string> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const response = await fetch(channel, { redirect: 'manual', signal }).catch((error: unknown) => {
    throw new Error(
      `${channel} does not answer: ${error instanceof Error ? error.message : error}`,
    );
  });
  const place = response.headers.get('location') ?? '';
  const version = decodeURIComponent(place.split('/').at(-1) ?? '');
  if (!/^v\d+\.\d+\.\d+\+k3s\d+$/.test(version)) {
    throw new Error(`${channel} names no release`);
  }
  return version;
}

/** @throws Error when it cannot be fetched, or is not what was published */
async function downloadRelease(
  version: string,
  places: K3sPlaces,
  tell?: Tell,
): Promise<K3sRelease> {
  const arm = process.arch === 'arm64';
  const base = `${places.releases}/${encodeURIComponent(version)}`;
  const fetchAll = async (output: string, say: Tell) => {
    say(`downloading ${version}`);
    const binary = join(output, 'k3s');
    await download(`${base}/${arm ? 'k3s-arm64' : 'k3s'}`, binary);
    await download(places.installer, join(output, 'install.sh'));
    await download(`${base}/sha256sum-${arm ? 'arm64' : 'amd64'}.txt`, join(output, 'sums'));
    const { stdout } = await runCommand(['sha256sum', binary]);
    const hash = stdout.split(' ')[0] ?? '';
    if (!(await Bun.file(join(output, 'sums')).text()).includes(hash)) {
      throw new Error(`Cannot use k3s ${version}: the download's SHA-256 is not a published one`);
    }
  };
  const name = places === PUBLIC_PLACES ? version : `${version}-${contentHash([places.releases])}`;
  const directory = await buildOnce(join('k3s-release', name), fetchAll, tell);
  return { version, binary: join(directory, 'k3s'), installer: join(directory, 'install.sh') };
}

async function download(url: string, path: string): Promise<void> {
  const curl = [
    ...['curl', '--fail', '--silent', '--show-error', '--location', '--retry', '2'],
    ...['--connect-timeout', String(ANSWER_TIMEOUT_MS / 1_000)],
    ...['--speed-limit', String(SLOWEST.bytes), '--speed-time', String(SLOWEST.seconds)],
  ];
  const { exitCode, stderr } = await runCommand([...curl, '--output', path, url], {
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    check: false,
  });
  if (exitCode !== 0) {
    throw new Error(`cannot fetch '${url}': ${stderr.trim()}`);
  }
}
