/** What stands where a snapshot is restored: it is moved aside, and back again if the restore fails. */
import {
  K3S_AGENT_DIRECTORY,
  K3S_DATA_DIRECTORY,
  K3S_ETCD_DIRECTORY,
  K3S_SQLITE_FILE,
} from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';

/** k3s' data, keys and tokens of the cluster on a server. What people put there (manifests) stays. */
const OF_CLUSTER = [
  K3S_ETCD_DIRECTORY,
  K3S_SQLITE_FILE,
  `${K3S_SQLITE_FILE}-wal`,
  `${K3S_SQLITE_FILE}-shm`,
  ...['db/reset-flag', 'tls', 'cred', 'token', 'agent-token', 'node-token'].map(
    (name) => `${K3S_DATA_DIRECTORY}/server/${name}`,
  ),
];
/** Of the node: k3s asks its server for new ones. */
const OF_NODE = /\.(crt|key|kubeconfig)$/;

interface Deps {
  readonly files: Files;
}

/**
 * Moves what is there into a directory, where it keeps its places below k3s' own.
 * @throws AgentError FILE_ACCESS, and then all of it is where it was
 */
export async function moveAside({ files }: Deps, aside: string): Promise<void> {
  const certificates = (await files.list(K3S_AGENT_DIRECTORY))
    .filter((name) => OF_NODE.test(name))
    .map((name) => `${K3S_AGENT_DIRECTORY}/${name}`);
  try {
    for (const path of [...OF_CLUSTER, ...certificates]) {
      if ((await files.stat(path)) !== undefined) {
        await moveInto({ files }, path, asideOf(aside, path));
      }
    }
  } catch (thrown) {
    await moveBack({ files }, aside);
    throw thrown;
  }
}

/** Puts everything back that was moved aside. What has come into its place since goes. */
export async function moveBack({ files }: Deps, aside: string): Promise<void> {
  for (const path of await movedAside({ files }, aside)) {
    await remove({ files }, path);
    await moveInto({ files }, asideOf(aside, path), path);
  }
  await files.removeTree(aside);
}

/** Everything that a restore has made goes, so that only what was moved aside is put back. */
export async function removeRestored({ files }: Deps): Promise<void> {
  for (const path of OF_CLUSTER) {
    await remove({ files }, path);
  }
}

async function remove({ files }: Deps, path: string): Promise<void> {
  const kind = (await files.stat(path))?.kind;
  await (kind === 'directory' ? files.removeTree(path) : files.remove(path));
}

async function movedAside({ files }: Deps, aside: string): Promise<readonly string[]> {
  const certificates = (await files.list(asideOf(aside, K3S_AGENT_DIRECTORY))).map(
    (name) => `${K3S_AGENT_DIRECTORY}/${name}`,
  );
  const paths: string[] = [];
  for (const path of [...OF_CLUSTER, ...certificates]) {
    if ((await files.stat(asideOf(aside, path))) !== undefined) {
      paths.push(path);
    }
  }
  return paths;
}

function asideOf(aside: string, path: string): string {
  return `${aside}${path.slice(K3S_DATA_DIRECTORY.length)}`;
}

async function moveInto({ files }: Deps, from: string, to: string): Promise<void> {
  await files.makeDirectory(to.slice(0, to.lastIndexOf('/')), { mode: 0o700 });
  await files.rename(from, to);
}
