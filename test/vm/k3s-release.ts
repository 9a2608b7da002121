/**
 * Where the k3s that tests install comes from: the k3s for tests, or with K3S_RELEASE in the
 * environment (`v1.36.3+k3s1`, or `v1.36` for its newest) that real release, downloaded once from
 * k3s' own places.
 */

import { join } from 'node:path';
import { buildOnce } from './cache.ts';
import { runCommand } from './host-command.ts';
import { buildK3s, K3S_INSTALLER, K3S_VERSION } from './k3s-build.ts';
import type { Tell } from './progress.ts';

const RELEASES_URL = 'https://github.com/k3s-io/k3s/releases/download';
const INSTALLER_URL = 'https://get.k3s.io';
/** Redirects from the name of a minor version to its newest release. */
const CHANNELS_URL = 'https://update.k3s.io/v1-release/channels';
const DOWNLOAD_TIMEOUT_MS = 600_000;

export interface K3sRelease {
  readonly version: string;
  /** Path of the binary for this host's architecture. */
  readonly binary: string;
  /** Path of the installer script. */
  readonly installer: string;
}

/**
 * Builds or downloads it, or takes it from the cache.
 * @param version another one than the one to test, for upgrades. The k3s for tests is the same
 *   program under any name; with K3S_RELEASE it must be one that k3s published.
 */
export async function prepareK3sRelease(version?: string, tell?: Tell): Promise<K3sRelease> {
  const real = process.env['K3S_RELEASE'] ?? '';
  if (real !== '') {
    return await downloadRelease(version ?? (await newestOf(real)), tell);
  }
  const name = version ?? K3S_VERSION;
  return { version: name, binary: await buildK3s(name, tell), installer: K3S_INSTALLER };
}

/** A whole version is itself. */
async function newestOf(release: string): Promise<string> {
  if (!/^v\d+\.\d+$/.test(release)) {
    return release;
  }
  const { headers } = await fetch(`${CHANNELS_URL}/${release}`, { redirect: 'manual' });
  const version = decodeURIComponent(headers.get('location')?.split('/').at(-1) ?? '');
  if (!version.startsWith(`${release}.`)) {
    throw new Error(`Cannot find the newest k3s ${release}: its channel leads to "${version}"`);
  }
  return version;
}

async function downloadRelease(version: string, tell?: Tell): Promise<K3sRelease> {
  const arm = process.arch === 'arm64';
  const base = `${RELEASES_URL}/${encodeURIComponent(version)}`;
  const fetchAll = async (output: string, say: Tell) => {
    say(`downloading ${version}`);
    const binary = join(output, 'k3s');
    await download(`${base}/${arm ? 'k3s-arm64' : 'k3s'}`, binary);
    await download(INSTALLER_URL, join(output, 'install.sh'));
    await download(`${base}/sha256sum-${arm ? 'arm64' : 'amd64'}.txt`, join(output, 'sums'));
    const { stdout } = await runCommand(['sha256sum', binary]);
    const hash = stdout.split(' ')[0] ?? '';
    if (!(await Bun.file(join(output, 'sums')).text()).includes(hash)) {
      throw new Error(`Cannot use k3s ${version}: the download's SHA-256 is not a published one`);
    }
  };
  const directory = await buildOnce(join('k3s-release', version), fetchAll, tell);
  return { version, binary: join(directory, 'k3s'), installer: join(directory, 'install.sh') };
}

async function download(url: string, path: string): Promise<void> {
  const curl = ['curl', '--fail', '--silent', '--show-error', '--location', '--retry', '2'];
  const { exitCode, stderr } = await runCommand([...curl, '--output', path, url], {
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    check: false,
  });
  if (exitCode !== 0) {
    throw new Error(
      `Cannot fetch '${url}', which K3S_RELEASE asks for: ${stderr.trim()}\n` +
        'Unset K3S_RELEASE to use the k3s for tests, which needs no download.',
    );
  }
}
