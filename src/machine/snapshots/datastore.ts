/** The cluster's data on this server: where they are, how a copy is taken and told from a broken one. */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_ETCD_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_SERVER_TOKEN_FILE,
  K3S_SQLITE_FILE,
} from '../../core/k3s-places.ts';
import type { Databases, Exec, Files, OpenFile } from '../../core/ports.ts';

export type DatastoreKind = 'sqlite' | 'etcd';

/** etcd itself takes minutes for a snapshot of the 8 GB that it may have at most. */
const ETCD_SAVE_TIMEOUT_MS = 600_000;
const SNAPSHOTS_DIRECTORY = `${K3S_DATA_DIRECTORY}/server/db/snapshots`;
const ETCD_DATA_FILE = `${K3S_ETCD_DIRECTORY}/member/snap/db`;
/** etcd appends SHA-256 to a snapshot, whose other pages are multiples of this (etcdutl, "snapshot status"). */
const PAGE_BYTES = 512;
const HASH_BYTES = 32;
const READ_BYTES = 1024 * 1024;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly databases: Databases;
}

/** @throws AgentError NOT_A_SERVER; HOST_UNSUPPORTED where the data are in a database elsewhere */
export async function datastoreHere({ files }: Pick<Deps, 'files'>): Promise<DatastoreKind> {
  if ((await files.stat(K3S_SERVER_TOKEN_FILE)) === undefined) {
    throw new AgentError('NOT_A_SERVER', 'This machine is not a server of the cluster', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  if ((await files.stat(K3S_ETCD_DIRECTORY)) !== undefined) {
    return 'etcd'; // Where both are, etcd is in use (docs.k3s.io, "High Availability Embedded etcd").
  }
  if ((await files.stat(K3S_SQLITE_FILE)) !== undefined) {
    return 'sqlite';
  }
  throw new AgentError('HOST_UNSUPPORTED', "k3s keeps the cluster's data in a database elsewhere", {
    hint: 'Use the backups of that database, and keep the token of the servers with them',
  });
}

/** Bytes of the data, about. */
export async function datastoreBytes(
  { files }: Pick<Deps, 'files'>,
  kind: DatastoreKind,
): Promise<number> {
  const paths = kind === 'etcd' ? [ETCD_DATA_FILE] : [K3S_SQLITE_FILE, `${K3S_SQLITE_FILE}-wal`];
  const stats = await Promise.all(paths.map((path) => files.stat(path)));
  return stats.reduce((sum, stat) => sum + (stat?.size ?? 0), 0);
}

/**
 * A consistent copy, while k3s runs.
 * @param to a new file
 * @throws AgentError FILE_ACCESS, DISK_FULL, TOOL_FAILED
 */
export async function copyDatastore(deps: Deps, kind: DatastoreKind, to: string): Promise<void> {
  await (kind === 'sqlite'
    ? deps.databases.copy(K3S_SQLITE_FILE, to)
    : saveEtcd(deps, `pipeops-${to.replaceAll(/[^a-z0-9]/g, '-').slice(-40)}`, to));
}

/** k3s asks etcd for it and puts it among its own snapshots; ours it is only once it is packed. */
async function saveEtcd(deps: Deps, name: string, to: string): Promise<void> {
  await etcdSnapshot(deps, ['save', `--name=${name}`, '--snapshot-compress=false']);
  const saved = (await deps.files.list(SNAPSHOTS_DIRECTORY)).filter((each) =>
    each.startsWith(`${name}-`),
  );
  const newest = saved.at(-1);
  if (newest === undefined) {
    throw new AgentError('TOOL_FAILED', `k3s has put no snapshot into ${SNAPSHOTS_DIRECTORY}`, {
      hint: 'Leave "etcd-snapshot-dir" out of the configuration of k3s',
    });
  }
  await deps.files.rename(`${SNAPSHOTS_DIRECTORY}/${newest}`, to);
  for (const earlier of saved.slice(0, -1)) {
    await deps.files.remove(`${SNAPSHOTS_DIRECTORY}/${earlier}`); // Of a run that was killed.
  }
}

async function etcdSnapshot({ exec }: Deps, args: readonly string[]): Promise<void> {
  const argv = [K3S_EXECUTABLE, 'etcd-snapshot', ...args] as const;
  const { exitCode, stderr } = await exec.run(argv, { timeoutMs: ETCD_SAVE_TIMEOUT_MS });
  if (exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `"k3s etcd-snapshot ${args[0]}" failed: ${stderr}`, {
      hint: 'Check that k3s runs: systemctl status k3s',
      details: { argv: [...argv], exit: exitCode },
    });
  }
}

/**
 * What is wrong with a copy; undefined where it can be restored.
 * @param token of the servers, which must be the one that belongs to the data
 */
export async function copyProblem(
  deps: Deps,
  kind: DatastoreKind,
  path: string,
  token: string,
): Promise<string | undefined> {
  const row = identityKey(token);
  return kind === 'sqlite'
    ? await deps.databases.problem(path, row)
    : await etcdProblem(deps, path, row);
}

/**
 * Under this name k3s keeps the keys of the cluster in the datastore, sealed with the token (k3s,
 * pkg/cluster/bootstrap.go): another token opens nothing.
 */
function identityKey(token: string): string {
  const password = token.trim().split('::').at(-1)?.split(':').at(-1) ?? '';
  const hash = new Bun.CryptoHasher('sha256').update(password).digest('hex');
  return `/bootstrap/${hash.slice(0, 12)}`;
}

async function etcdProblem(
  { files }: Pick<Deps, 'files'>,
  path: string,
  row: string,
): Promise<string | undefined> {
  const file = await files.openFile(path);
  if (file === undefined) {
    return 'it is not there';
  }
  try {
    if (file.sizeBytes % PAGE_BYTES !== HASH_BYTES) {
      return 'it is no snapshot of etcd, or has lost its end';
    }
    return await hashProblem(file, row);
  } finally {
    await file.close();
  }
}

async function hashProblem(file: OpenFile, row: string): Promise<string | undefined> {
  const dataBytes = file.sizeBytes - HASH_BYTES;
  const digest = new Bun.CryptoHasher('sha256');
  let hasRow = false;
  let end = Buffer.alloc(0);
  for (let offset = 0; offset < dataBytes; offset += READ_BYTES) {
    const piece = await file.read(offset, Math.min(READ_BYTES, dataBytes - offset));
    digest.update(piece);
    const joined = Buffer.concat([end, piece]);
    hasRow ||= joined.includes(row);
    end = joined.subarray(-row.length);
  }
  if (!Buffer.from(await file.read(dataBytes, HASH_BYTES)).equals(digest.digest())) {
    return 'its SHA-256 is another than etcd has written at its end';
  }
  return hasRow ? undefined : `it has no ${row}`;
}
