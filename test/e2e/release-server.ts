/** Where install.sh and the executable come from, in the shape of the real place. */
import { join, normalize } from 'node:path';
import { hostAndPort } from '../../src/core/text/host-and-port.ts';
import { type TestRelease, testRelease } from './test-release.ts';

export interface ReleaseServer extends AsyncDisposable {
  /** PIPEOPS_BASE_URL, without a slash at the end. */
  readonly url: string;
  readonly release: TestRelease;
  /** Serves something else, or more, at a path. */
  put(path: string, content: string | Uint8Array<ArrayBuffer>): void;
}

/**
 * Serves a release of the present sources over TLS, and older versions of it.
 * @param tls `lab.internet`
 */
export async function startReleaseServer(
  hostname: string,
  { cert, key }: { readonly cert: string; readonly key: string },
  older: readonly string[] = [],
): Promise<ReleaseServer> {
  const release = await testRelease(older);
  const others = new Map<string, string | Uint8Array<ArrayBuffer>>();
  const server = Bun.serve({
    hostname,
    port: 0,
    development: false,
    tls: { cert, key },
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const other = others.get(pathname);
      return other === undefined ? await releaseAnswer(release, pathname) : new Response(other);
    },
  });
  return {
    url: `https://${hostAndPort(hostname, server.port ?? 0)}`,
    release,
    put: (path, content) => void others.set(path, content),
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

/** What the place of releases answers to a path below its base address. */
export async function releaseAnswer({ directory }: TestRelease, path: string): Promise<Response> {
  const file = Bun.file(join(directory, normalize(`/${path}`)));
  return (await file.exists()) ? new Response(file) : new Response('not found\n', { status: 404 });
}
