import { AGENT_USER, DAEMON_SOCKET_TARGET, type Places } from '../../core/places.ts';
import type { Files, Random } from '../../core/ports.ts';
import { isListed } from './account.ts';

/** Bytes of randomness in the local token. */
const TOKEN_BYTES = 32;

/**
 * Makes what root puts into the runtime directory at each start of the daemon: a new local token, and
 * the link to the daemon's socket. The directory belongs to root, because kubeconfigs name the token's
 * file, and root's kubectl sends whatever that file contains. Does nothing where no daemon was set up.
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
  // First of all: from now on nobody else can change its content.
  await files.claimDirectory(places.runtimeDirectory, { mode: 0o755, owner: 'root:root' });
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url');
  await files.writeAtomic(places.localTokenFile, `${token}\n`, {
    mode: 0o640,
    owner: `root:${AGENT_USER}`,
  });
  await files.link(DAEMON_SOCKET_TARGET, places.socketLink);
}
