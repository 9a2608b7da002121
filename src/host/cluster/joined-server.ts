import { K3S_AGENT_CA_FILE, K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { JOINED_SERVER_LIMIT_BYTES, JoinedServer } from '../../protocol/files/joined-server.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { writeOwn } from '../engine/own-text.ts';
import { ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/**
 * Tells the daemon which server this machine joined and by which CA to recognise it: a further server is
 * known by that, too. The daemon may not read k3s' own files. While k3s has not written the CA yet, nothing is written; the next run
 * does it.
 */
export function joinedServer(
  deps: Deps,
  inventory: HostInventory,
  url: string | undefined,
): Resource {
  const title = 'Note the server of the cluster';
  const file = { id: 'joined-server', title, path: deps.places.joinedServerFile };
  if (url === undefined) {
    return ownFile(deps, inventory, file, undefined);
  }
  return ownFile(deps, inventory, file, {
    isDone: async () => {
      const server = await wanted(deps, url);
      return server === undefined || Bun.deepEquals(server, await written(deps));
    },
    apply: async () => {
      const server = await wanted(deps, url);
      if (server !== undefined) {
        const text = `${JSON.stringify(server, null, 2)}\n`;
        const owner = `root:${AGENT_USER}`;
        await writeOwn(deps, deps.places.joinedServerFile, text, { mode: 0o640, owner });
      }
    },
  });
}

/** The wanted content, including what another version has written there. */
async function wanted(deps: Deps, url: string): Promise<JoinedServer | undefined> {
  const ca =
    (await deps.files.readText(K3S_AGENT_CA_FILE)) ??
    (await deps.files.readText(K3S_SERVER_CA_FILE));
  return ca === undefined ? undefined : { ...(await written(deps)), v: 1, url, ca };
}

async function written(deps: Deps): Promise<JoinedServer | undefined> {
  const text = await deps.files.readText(deps.places.joinedServerFile, JOINED_SERVER_LIMIT_BYTES);
  try {
    return JoinedServer.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined; // Everything in it is known from elsewhere, so it is written anew.
  }
}
