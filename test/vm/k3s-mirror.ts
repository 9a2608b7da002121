/**
 * Serves k3s in the shape that PIPEOPS_K3S_MIRROR expects: `install.sh`, `channels/<name>` (a
 * redirect to `…/<version>`), `download/<version>/k3s[-arm64]` and
 * `download/<version>/sha256sum-<amd64|arm64>.txt`, and beside them the images of k3s with their list.
 */

import { hostAndPort } from '../../src/core/text/host-and-port.ts';
import { airgapImages } from './airgap-images.ts';
import type { K3sRelease } from './k3s-release.ts';
import { prepareK3sRelease } from './k3s-release.ts';

/** A hash that no file has in practice. */
const WRONG_HASH = 'f'.repeat(64);

export interface K3sMirrorOptions {
  /** The address machines reach: `lab.hostAddress`. */
  readonly hostname: string;
  /** What is served; the first one is what every channel points at. Default: the k3s to test. */
  readonly releases?: readonly K3sRelease[];
  /** Publish a SHA-256 that the binary does not have. */
  readonly wrongHash?: boolean;
  /** Serve over TLS: `lab.internet`. Default: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface K3sMirror extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  /** What channels point at. */
  readonly version: string;
  /** Paths asked for so far, in order: what a test checks downloads by. */
  readonly requests: readonly string[];
}

export async function startK3sMirror(options: K3sMirrorOptions): Promise<K3sMirror> {
  const releases = options.releases ?? [await prepareK3sRelease()];
  const [latest] = releases;
  if (latest === undefined) {
    throw new Error('Cannot serve k3s: no release was given');
  }
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: options.hostname,
    port: 0,
    idleTimeout: 60,
    development: false,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    async fetch(request) {
      const path = decodeURIComponent(new URL(request.url).pathname);
      requests.push(path);
      return await answerOfMirror(path, releases, latest, options.wrongHash ?? false);
    },
  });
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${hostAndPort(options.hostname, server.port ?? 0)}`,
    version: latest.version,
    requests,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

/** What a mirror answers to a path. */
export async function answerOfMirror(
  path: string,
  releases: readonly K3sRelease[],
  latest: K3sRelease,
  wrongHash: boolean,
): Promise<Response> {
  if (path === '/install.sh') {
    return new Response(Bun.file(latest.installer));
  }
  if (path.startsWith('/channels/')) {
    // The installer follows this and takes the last part of the address it ends at.
    return new Response(null, { status: 302, headers: { location: `/tag/${latest.version}` } });
  }
  const [, folder, version, file] = path.split('/');
  const release = releases.find((candidate) => candidate.version === version);
  if (release !== undefined && folder === 'tag') {
    return new Response(release.version);
  }
  if (release !== undefined && folder === 'download') {
    const arm = process.arch === 'arm64';
    const files = await filesOf(release, arm ? 'arm64' : 'amd64');
    if (file === (arm ? 'sha256sum-arm64.txt' : 'sha256sum-amd64.txt')) {
      const lines = Object.entries(files).map(async ([name, path]) => {
        return `${wrongHash ? WRONG_HASH : await sha256(path)}  ${name}\n`;
      });
      return new Response((await Promise.all(lines)).join(''));
    }
    const path = files[file ?? ''];
    if (path !== undefined) {
      return new Response(Bun.file(path));
    }
  }
  return new Response('not found\n', { status: 404 });
}

/** The files of a release by their name: the program, and what machines without internet need. */
async function filesOf(
  release: K3sRelease,
  architecture: 'amd64' | 'arm64',
): Promise<Readonly<Record<string, string>>> {
  const { archive, list } = await airgapImages();
  return {
    [architecture === 'amd64' ? 'k3s' : 'k3s-arm64']: release.binary,
    [`k3s-airgap-images-${architecture}.tar`]: archive,
    'k3s-images.txt': list,
  };
}

/** By path: a place of releases has its lists ready, and does not make them while somebody waits. */
const hashes = new Map<string, Promise<string>>();

function sha256(path: string): Promise<string> {
  const known = hashes.get(path) ?? hashOf(path);
  hashes.set(path, known);
  return known;
}

async function hashOf(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher('sha256');
  for await (const chunk of Bun.file(path).stream()) {
    hasher.update(chunk);
  }
  return hasher.digest('hex');
}
