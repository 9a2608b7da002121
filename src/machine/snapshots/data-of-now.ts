/** What stands where other data are to come: it is moved aside, and back again if that fails. */
import { dirname } from 'node:path';
import {
  K3S_AGENT_DIRECTORY,
  K3S_DATA_DIRECTORY,
  K3S_ETCD_DIRECTORY,
  K3S_SQLITE_FILE,
} from '../../core/k3s-places.ts';
import type { Clock, Files } from '../../core/ports.ts';

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

/** All that belongs to the cluster of now, and to no other one. */
export async function placesOfCluster({ files }: Deps): Promise<readonly string[]> {
  const certificates = (await files.list(K3S_AGENT_DIRECTORY)).filter((name) => OF_NODE.test(name));
  return [...OF_CLUSTER, ...certificates.map((name) => `${K3S_AGENT_DIRECTORY}/${name}`)];
}

/** A directory that is not there yet: what a run that was killed has moved aside must stay. */
export async function unusedAside(
  { files, clock }: Deps & { readonly clock: Clock },
  why: string,
): Promise<string> {
  const time = clock.now().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase();
  const wanted = `${K3S_DATA_DIRECTORY}/${why}-${time}z`;
  let unused = wanted;
  for (let number = 2; (await files.stat(unused)) !== undefined; number += 1) {
    unused = `${wanted}-${number}`;
  }
  return unused;
}

/**
 * Moves what is there into a directory, where it keeps its places below k3s' own.
 * @throws AgentError FILE_ACCESS, and then all of it is where it was
 */
export async function moveAside(
  { files }: Deps,
  places: readonly string[],
  aside: string,
): Promise<void> {
  try {
    for (const path of places) {
      if ((await files.stat(path)) !== undefined) {
        await moveInto({ files }, path, asideOf(aside, path));
      }
    }
  } catch (thrown) {
    await moveBack({ files }, places, aside);
    throw thrown;
  }
}

/** Puts back what was moved aside. */
async function moveBack({ files }: Deps, places: readonly string[], aside: string): Promise<void> {
  for (const path of places) {
    if ((await files.stat(asideOf(aside, path))) !== undefined) {
      await moveInto({ files }, asideOf(aside, path), path);
    }
  }
  await files.removeTree(aside);
}

/** The same, where other data have come into these places since: those go. */
export async function replaceBy(
  { files }: Deps,
  places: readonly string[],
  aside: string,
): Promise<void> {
  for (const path of places) {
    const isDirectory = (await files.stat(path))?.kind === 'directory';
    await (isDirectory ? files.removeTree(path) : files.remove(path));
  }
  await moveBack({ files }, places, aside);
}

function asideOf(aside: string, path: string): string {
  return `${aside}${path.slice(K3S_DATA_DIRECTORY.length)}`;
}

async function moveInto({ files }: Deps, from: string, to: string): Promise<void> {
  await files.makeDirectory(dirname(to), { mode: 0o700 });
  await files.rename(from, to);
}
