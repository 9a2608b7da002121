import { JOINED_SERVER_LIMIT_BYTES, JoinedServer } from '../../protocol/files/joined-server.ts';
import type { Fact, FactDeps } from './fact.ts';
import { type Reached, reach } from './reached.ts';

/** The server that this worker joins or has joined; undefined elsewhere, and where it is not noted. */
export const serverReached: Fact<Reached | undefined> = {
  id: 'server-reached',
  read: async (deps) => {
    const { role, joins } = deps.subject;
    const server = joins ?? (role === 'worker' ? await noted(deps) : undefined);
    if (server === undefined) {
      return undefined;
    }
    // It needs no credentials (k3s, "pkg/server/router.go").
    const url = new URL('/ping', server.url);
    const endpoint = { name: 'the server', url, ca: server.ca, ask: 'answer' } as const;
    return await reach(deps, { ...endpoint, isInside: true });
  },
};

async function noted({ files, places }: FactDeps): Promise<JoinedServer | undefined> {
  const text = await files.readText(places.joinedServerFile, JOINED_SERVER_LIMIT_BYTES);
  try {
    return JoinedServer.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined; // The agent itself tells of a file that cannot be read.
  }
}
