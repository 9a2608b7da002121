import { K3S_BALANCER_URLS } from '../../core/k3s-ports.ts';
import { JOINED_SERVER_LIMIT_BYTES, JoinedServer } from '../../protocol/files/joined-server.ts';
import type { Fact, FactDeps } from './fact.ts';
import { type Reached, reach } from './reached.ts';

/** It needs no credentials (k3s, "pkg/server/router.go"). */
const PATH = '/ping';

/** A server that this worker joins or has joined; undefined elsewhere, and where it is not noted. */
export const serverReached: Fact<Reached | undefined> = {
  id: 'server-reached',
  read: async (deps) => {
    const { role, joins } = deps.subject;
    if (joins !== undefined) {
      return await reach(deps, endpointAt(joins.url, joins.ca));
    }
    const server = role === 'worker' ? await noted(deps) : undefined;
    if (server === undefined) {
      return undefined;
    }
    // The one it joined may have left the cluster since.
    const [direct, ...balanced] = await Promise.all([
      reach(deps, endpointAt(server.url, server.ca)),
      ...K3S_BALANCER_URLS.map((url) => reach(deps, endpointAt(url, server.ca))),
    ]);
    const through = balanced
      .flatMap(({ usual }) => usual)
      .filter(({ walk }) => walk.failure === undefined);
    return { ...direct, usual: [...direct.usual, ...through] };
  },
};

function endpointAt(server: string, ca: string | undefined) {
  const url = new URL(PATH, server);
  return { name: 'the server', url, ca, ask: 'answer', isInside: true } as const;
}

async function noted({ files, places }: FactDeps): Promise<JoinedServer | undefined> {
  const text = await files.readText(places.joinedServerFile, JOINED_SERVER_LIMIT_BYTES);
  try {
    return JoinedServer.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined; // The agent itself tells of a file that cannot be read.
  }
}
