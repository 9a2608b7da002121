import { AGENT_USER, DAEMON_SOCKET_TARGET, type Places } from '../../core/places.ts';
import type { Files, Random } from '../../core/ports.ts';
import { isListed } from './account.ts';

/** Bytes of randomness in the local token. */
const TOKEN_BYTES = 32;

/**
 * Makes what root puts into the runtime directory at each start of the daemon: a new local token, and
 * the name under which the daemon's socket is found. The directory is root's: a kubeconfig names the
 * token's file, and root's kubectl sends whatever it finds there. Nothing where no daemon was set up.
 */
export async function prepareRuntimeDirectory({
  files,
  places,
  random,
}: {
  readonly files: Files;
  readonly places: Places;
  readonly random: Random;
}): Promise<void> {
  if (!(await isListed(files, '/etc/group'))) {
    return;
  }
  // First: from here on nobody else changes what stands in it.
  await files.claimDirectory(places.runtimeDirectory, { mode: 0o755, owner: 'root:root' });
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url');
  await files.writeAtomic(places.localTokenFile, `${token}\n`, {
    mode: 0o640,
    owner: `root:${AGENT_USER}`,
  });
  await files.link(DAEMON_SOCKET_TARGET, places.socketLink);
}
