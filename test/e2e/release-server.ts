/** Where install.sh and the executable come from, in the shape of the real place. */
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '../..');
/** What `bun run build` has built for this kind of machine. */
export const BUILT_PROGRAM = join(ROOT, 'dist', `pipeops-agent-linux-${process.arch}`);

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
  const version = await builtVersion();
  const directories = new Map([[version, 'dist']]);
  const server = Bun.serve({
    hostname,
    port: 0,
    development: false,
    tls: { cert, key },
    fetch: async (request) =>
      await releaseAnswer(new URL(request.url).pathname, version, directories),
  });
  return {
    url: `https://${hostname}:${server.port}`,
    version,
    offer: (other, directory) => void directories.set(other, directory),
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

/** The version that `bun run build` builds. */
export async function builtVersion(): Promise<string> {
  return (await Bun.file(join(ROOT, 'package.json')).json()).version;
}

/**
 * What the place of releases answers to a path below its base address.
 * @param latest the newest version
 * @param directories of each version that is offered, below the root of the sources
 */
export async function releaseAnswer(
  path: string,
  latest: string,
  directories: ReadonlyMap<string, string>,
): Promise<Response> {
  if (path === '/install.sh') {
    return new Response(Bun.file(join(ROOT, 'install.sh')));
  }
  if (path === '/latest') {
    return new Response(`${latest}\n`);
  }
  const [, version = '', name, ...rest] = path.split('/');
  const directory = directories.get(version);
  const file = Bun.file(join(ROOT, directory ?? '', name ?? ''));
  const known = directory !== undefined && rest.length === 0 && (await file.exists());
  return known ? new Response(file) : new Response('not found\n', { status: 404 });
}
