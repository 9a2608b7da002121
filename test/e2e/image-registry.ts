/** A registry that images are pulled from (OCI distribution, read-only), of archives of `docker save`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestCertificates } from '../support/tls.ts';
import { runCommand } from '../vm/host-command.ts';

const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

export interface ImageRegistry extends AsyncDisposable {
  /** `host:port`, as it stands in the name of an image. */
  readonly host: string;
  /** Paths that were asked for, in order. */
  readonly requests: readonly string[];
}

interface Repository {
  readonly manifest: Uint8Array;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/**
 * @param archives by the name of a repository: each has one image of one layer, served under any tag
 */
export async function startImageRegistry(
  hostname: string,
  archives: Readonly<Record<string, string>>,
  { cert, key }: Pick<TestCertificates, 'cert' | 'key'>,
): Promise<ImageRegistry> {
  const repositories = new Map<string, Repository>();
  for (const [name, archive] of Object.entries(archives)) {
    repositories.set(name, await readRepository(archive));
  }
  const requests: string[] = [];
  const server = Bun.serve({
    hostname,
    port: 0,
    development: false,
    tls: { cert, key },
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      requests.push(pathname);
      return pathname === '/v2/' ? Response.json({}) : answer(repositories, pathname);
    },
  });
  return {
    host: `${hostname}:${server.port}`,
    requests,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

function answer(repositories: ReadonlyMap<string, Repository>, path: string): Response {
  const [, name = '', kind, reference = ''] =
    /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
  const repository = repositories.get(name);
  const isTag = kind === 'manifests' && !reference.startsWith('sha256:');
  const found = isTag ? repository?.manifest : repository?.blobs.get(reference);
  return found === undefined
    ? new Response('', { status: 404 })
    : new Response(Uint8Array.from(found), {
        headers: {
          'content-type': kind === 'manifests' ? MANIFEST_TYPE : 'application/octet-stream',
          'docker-content-digest': digestOf(found),
        },
      });
}

async function readRepository(archive: string): Promise<Repository> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-registry-'));
  await runCommand(['tar', '-xf', archive, '-C', directory]);
  const config = await Bun.file(join(directory, 'config.json')).bytes();
  const layer = await Bun.file(join(directory, 'layer.tar')).bytes();
  await rm(directory, { recursive: true });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: described('application/vnd.docker.container.image.v1+json', config),
      layers: [described('application/vnd.docker.image.rootfs.diff.tar', layer)],
    }),
  );
  const blobs = new Map([config, layer, manifest].map((bytes) => [digestOf(bytes), bytes]));
  return { manifest, blobs };
}

function described(mediaType: string, bytes: Uint8Array) {
  return { mediaType, size: bytes.length, digest: digestOf(bytes) };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`;
}
