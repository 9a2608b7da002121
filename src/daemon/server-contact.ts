import { AgentError } from '../core/errors.ts';
import { K3S_BALANCER_URLS } from '../core/k3s-ports.ts';
import type { Clock, Files, Http } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import { within } from '../core/waiting.ts';
import { JOINED_SERVER_LIMIT_BYTES, JoinedServer } from '../protocol/files/joined-server.ts';

/** The API of a server answers this to everybody: with 401, or with its health. */
const PATH = '/readyz';
const PROBE_TIMEOUT_MS = 3_000;

export interface ServerContact {
  readonly url: string;
  /** Why no server of the cluster answers; undefined while one does. */
  readonly trouble: string | undefined;
}

/**
 * Whether this worker reaches its cluster: the kubelet calls itself healthy even without it.
 * Undefined where root has not written down which server it joined.
 */
export async function askServer(
  deps: { readonly clock: Clock; readonly files: Files; readonly http: Http },
  path: string,
): Promise<ServerContact | undefined> {
  const server = await readServer(deps.files, path);
  if (server === undefined) {
    return undefined;
  }
  const [direct, ...balanced] = await Promise.all(
    [server.url, ...K3S_BALANCER_URLS].map((url) => trouble(deps, url, server.ca)),
  );
  const reached = direct === undefined || balanced.includes(undefined);
  return { url: server.url, trouble: reached ? undefined : direct };
}

async function readServer(files: Files, path: string): Promise<JoinedServer | undefined> {
  try {
    const text = await files.readText(path, JOINED_SERVER_LIMIT_BYTES);
    return text === undefined ? undefined : JoinedServer.safeParse(JSON.parse(text)).data;
  } catch (thrown) {
    if (thrown instanceof AgentError || thrown instanceof SyntaxError) {
      return undefined; // Nothing is known about the server then; `status` says so.
    }
    throw thrown;
  }
}

async function trouble(
  { clock, http }: { readonly clock: Clock; readonly http: Http },
  url: string,
  ca: string,
): Promise<string | undefined> {
  try {
    const { status } = await within(clock, PROBE_TIMEOUT_MS, undefined, (signal) =>
      http(`${url}${PATH}`, { tls: { ca }, redirect: 'manual', signal }),
    );
    return status < 500 ? undefined : `it answers ${status}; it may still start`;
  } catch (thrown) {
    return troubleOf(thrown);
  }
}
