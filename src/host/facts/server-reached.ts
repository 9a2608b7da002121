import { JOINED_SERVER_LIMIT_BYTES, JoinedServer } from '../../protocol/files/joined-server.ts';
import type { Fact } from './fact.ts';
import { type Reached, reach } from './reached.ts';

/** The server that this worker has joined; undefined on other machines, and where it is not noted. */
export const serverReached: Fact<Reached | undefined> = {
  id: 'server-reached',
  read: async (deps) => {
    if (deps.subject.role !== 'worker') {
      return undefined;
    }
    const text = await deps.files.readText(deps.places.joinedServerFile, JOINED_SERVER_LIMIT_BYTES);
    const server = parse(text ?? '');
    if (server === undefined) {
      return undefined;
    }
    // It needs no credentials (k3s, "pkg/server/router.go").
    const url = new URL('/ping', server.url);
    const endpoint = { name: 'the server', url, ca: server.ca, ask: 'answer' } as const;
    return await reach(deps, { ...endpoint, isInside: true });
  },
};

function parse(text: string): JoinedServer | undefined {
  try {
    return JoinedServer.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // The agent itself tells of a file that cannot be read.
  }
}
