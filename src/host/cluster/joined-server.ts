import { AGENT_USER, JOINED_SERVER_FILE, K3S_AGENT_CA_FILE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import {
  JOINED_SERVER_LIMIT_BYTES,
  type JoinedServer,
} from '../../protocol/files/joined-server.ts';
import type { Step } from '../engine/steps.ts';

/**
 * Tells the daemon of a worker which server it joined, and how to know it: k3s' own files are root's.
 * Where k3s has not written the CA yet there is nothing to tell, and the next run does it.
 */
export function joinedServer(deps: { readonly files: Files }, url: string): Step {
  return {
    id: 'joined-server',
    title: 'Note the server of the cluster',
    touches: [JOINED_SERVER_FILE],
    isDone: async () => {
      const wanted = await content(deps.files, url);
      return (
        wanted === undefined ||
        wanted === (await deps.files.readText(JOINED_SERVER_FILE, JOINED_SERVER_LIMIT_BYTES))
      );
    },
    apply: async () => {
      const text = await content(deps.files, url);
      if (text !== undefined) {
        const owner = `root:${AGENT_USER}`;
        await deps.files.writeAtomic(JOINED_SERVER_FILE, text, { mode: 0o640, owner });
      }
    },
  };
}

async function content(files: Files, url: string): Promise<string | undefined> {
  const ca = await files.readText(K3S_AGENT_CA_FILE);
  if (ca === undefined) {
    return undefined;
  }
  const server: JoinedServer = { v: 1, url, ca };
  return `${JSON.stringify(server, null, 2)}\n`;
}
