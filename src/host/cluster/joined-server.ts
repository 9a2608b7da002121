import { AGENT_USER, JOINED_SERVER_FILE, K3S_AGENT_CA_FILE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { JOINED_SERVER_LIMIT_BYTES, JoinedServer } from '../../protocol/files/joined-server.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { writeOwn } from '../engine/own-text.ts';
import { ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';

/**
 * Tells the daemon of a worker which server it joined, and how to know it: k3s' own files are root's.
 * Where k3s has not written the CA yet there is nothing to tell, and the next run does it.
 */
export function joinedServer(
  deps: { readonly files: Files },
  inventory: HostInventory,
  url: string | undefined,
): Resource {
  const title = 'Note the server of the cluster';
  const file = { id: 'joined-server', title, path: JOINED_SERVER_FILE };
  if (url === undefined) {
    return ownFile(deps, inventory, file, undefined);
  }
  return ownFile(deps, inventory, file, {
    isDone: async () => {
      const server = await wanted(deps.files, url);
      return server === undefined || Bun.deepEquals(server, await written(deps.files));
    },
    apply: async () => {
      const server = await wanted(deps.files, url);
      if (server !== undefined) {
        const text = `${JSON.stringify(server, null, 2)}\n`;
        const owner = `root:${AGENT_USER}`;
        await writeOwn(deps, JOINED_SERVER_FILE, text, { mode: 0o640, owner });
      }
    },
  });
}

/** What the file shall hold: with what another version has written beside it. */
async function wanted(files: Files, url: string): Promise<JoinedServer | undefined> {
  const ca = await files.readText(K3S_AGENT_CA_FILE);
  return ca === undefined ? undefined : { ...(await written(files)), v: 1, url, ca };
}

async function written(files: Files): Promise<JoinedServer | undefined> {
  const text = await files.readText(JOINED_SERVER_FILE, JOINED_SERVER_LIMIT_BYTES);
  try {
    return JoinedServer.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined; // All of it is known here: it is written anew.
  }
}
