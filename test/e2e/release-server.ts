/** Where install.sh and the executable come from, in the shape of the real place. */
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '../..');

export interface ReleaseServer extends AsyncDisposable {
  /** PIPEOPS_BASE_URL, without a slash at the end. */
  readonly url: string;
  readonly version: string;
  /** Serves also what stands in a directory (below the root of the sources) as another version. */
  offer(version: string, directory: string): void;
}

/** Serves over TLS what `bun run build` has put into dist/. @param tls `lab.internet` */
export async function startReleaseServer(
  hostname: string,
  { cert, key }: { readonly cert: string; readonly key: string },
): Promise<ReleaseServer> {
  const { version } = await Bun.file(join(ROOT, 'package.json')).json();
  const directories = new Map<string | undefined, string>([[version, 'dist']]);
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
      const directory = directories.get(folder);
      const file = Bun.file(join(ROOT, directory ?? '', name ?? ''));
      const known = directory !== undefined && rest.length === 0 && (await file.exists());
      return known ? new Response(file) : new Response('not found\n', { status: 404 });
    },
  });
  return {
    url: `https://${hostname}:${server.port}`,
    version,
    offer: (other, directory) => void directories.set(other, directory),
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}
