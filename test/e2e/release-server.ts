/** Where install.sh and the executable come from, in the shape of the real place. */
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '../..');

export interface ReleaseServer extends AsyncDisposable {
  /** PIPEOPS_BASE_URL, without a slash at the end. */
  readonly url: string;
  readonly version: string;
}

/** Serves over TLS what `bun run build` has put into dist/. @param tls `lab.internet` */
export async function startReleaseServer(
  hostname: string,
  { cert, key }: { readonly cert: string; readonly key: string },
): Promise<ReleaseServer> {
  const { version } = await Bun.file(join(ROOT, 'package.json')).json();
  const server = Bun.serve({
    hostname,
    port: 0,
    development: false,
    tls: { cert, key },
    routes: {
      '/install.sh': () => new Response(Bun.file(join(ROOT, 'install.sh'))),
      '/latest': () => new Response(`${version}\n`),
    },
    async fetch(request) {
      const [, folder, name, ...rest] = new URL(request.url).pathname.split('/');
      const file = Bun.file(join(ROOT, 'dist', name ?? ''));
      const known = folder === version && rest.length === 0 && (await file.exists());
      return known ? new Response(file) : new Response('not found\n', { status: 404 });
    },
  });
  return {
    url: `https://${hostname}:${server.port}`,
    version,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}
