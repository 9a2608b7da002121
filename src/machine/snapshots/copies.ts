/** Where snapshots are copied to: a directory (another disk, a share), a store that speaks S3, or both. */
import { dirname } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { AgentError, expectedError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import { withDeadline } from '../../core/waiting.ts';
import { hashOfFile } from '../../host/engine/file-hash.ts';
import { placeFile } from '../../host/engine/place-file.ts';
import { kindOfName, SNAPSHOT_SUFFIX, type SnapshotKind } from '../../protocol/files/snapshot.ts';
import { S3Credentials } from '../../protocol/secrets/s3-credentials.ts';
import type { MachineContext } from '../context.ts';
import { ROOM_LEFT_BYTES } from './room.ts';
import { readSnapshotHeader } from './sealed-file.ts';

/** Of the mode of a file: anybody but its owner. */
const OTHERS_BITS = 0o077;
const CREDENTIALS_BYTES_MAX = 4 * 1024;
/** A slow link needs its time for gigabytes, but not for ever. */
const TRANSFER_TIMEOUT_MS = 60 * 60_000;
const ASK_TIMEOUT_MS = 60_000;
/** Of the hash of the cluster's CA: enough to tell clusters apart. */
const CLUSTER_LENGTH = 12;

/** A snapshot that was copied. */
export interface CopiedSnapshot {
  readonly name: string;
  /** What `snapshot fetch` takes: a path, or a key in the store. */
  readonly from: string;
  readonly kind: SnapshotKind;
  /** ISO time: of the snapshot, or where only that is known, of the copy. */
  readonly created: string;
}

/** One place for copies. */
export interface CopyPlace {
  /** For people: `/mnt/backup`, `bucket at https://…`. */
  readonly title: string;
  /** Of this node of this cluster. */
  list(): Promise<readonly CopiedSnapshot[]>;
  put(name: string, path: string): Promise<void>;
  remove(copy: CopiedSnapshot): Promise<void>;
  /** @param from as in `list`, or of another node or cluster */
  bring(from: string, path: string): Promise<void>;
}

export interface Whose {
  /** SHA-256 of the cluster's CA. */
  readonly cluster: string;
  readonly node: string;
}

/** Every place that root has named. @throws AgentError CONFIG_INVALID, NOT_FOUND, FILE_ACCESS */
export async function copyPlaces(
  context: MachineContext,
  { snapshots }: Pick<Config, 'snapshots'>,
  { cluster, node }: Whose,
): Promise<readonly CopyPlace[]> {
  const folder = `${cluster.slice(0, CLUSTER_LENGTH)}/${node}`;
  const { copy_to: directory } = snapshots;
  const store = await storePlace(context, snapshots, folder);
  return [
    ...(directory === undefined ? [] : [directoryPlace(context, directory, folder)]),
    ...(store === undefined ? [] : [store]),
  ];
}

function directoryPlace(context: MachineContext, directory: string, folder: string): CopyPlace {
  const { files, signal } = context;
  const own = `${directory}/${folder}`;
  return {
    title: directory,
    list: async () => {
      const names = (await files.list(own)).filter((name) => name.endsWith(SNAPSHOT_SUFFIX));
      const copies = await Promise.all(
        names.map((file) =>
          copyAt(files, `${own}/${file}`, file.slice(0, -SNAPSHOT_SUFFIX.length)),
        ),
      );
      return copies.flat();
    },
    put: async (name, path) => {
      await requireDirectory(files, directory);
      await files.makeDirectory(own, { mode: 0o700 });
      await copyFile(files, path, `${own}/${name}${SNAPSHOT_SUFFIX}`, signal);
    },
    remove: async ({ from }) => {
      await files.remove(from);
    },
    bring: (from, path) => copyFile(files, from, path, signal),
  };
}

/** None where the file is no snapshot, or one of another name: it is left there, and counts for nothing. */
async function copyAt(
  files: Files,
  from: string,
  fileName: string,
): Promise<readonly CopiedSnapshot[]> {
  try {
    const { name, kind, created } = await readSnapshotHeader({ files }, from);
    return name === fileName ? [{ name, from, kind, created }] : [];
  } catch (thrown) {
    expectedError(thrown);
    return [];
  }
}

/** A share that is not mounted must not be mistaken for an empty one: its directory is not made. */
async function requireDirectory(files: Files, directory: string): Promise<void> {
  if ((await files.stat(directory))?.kind !== 'directory') {
    throw new AgentError('NOT_FOUND', `There is no directory ${directory}`, {
      hint: 'Make or mount it, or correct snapshots.copy_to',
    });
  }
}

async function copyFile(
  files: Files,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  const stat = await files.stat(from);
  if (stat?.kind !== 'file') {
    throw new AgentError('NOT_FOUND', `There is no file ${from}`, {
      hint: 'See which there are: sudo pipeops-agent snapshot list --copies',
    });
  }
  const sha256 = (await hashOfFile(files, from, signal)) ?? '';
  const whole = { path: from, offset: 0, sizeBytes: stat.size, sha256 };
  await placeFile(files, whole, { path: to, mode: 0o600 }, signal);
}

async function storePlace(
  context: MachineContext,
  settings: Config['snapshots'],
  folder: string,
): Promise<CopyPlace | undefined> {
  const { s3_endpoint: endpoint, s3_bucket: bucket, s3_credentials_file: file } = settings;
  if (endpoint === undefined) {
    return undefined;
  }
  if (bucket === undefined || file === undefined) {
    throw new AgentError('CONFIG_INVALID', 'snapshots.s3_endpoint is of no use alone', {
      hint: 'Set snapshots.s3_bucket and snapshots.s3_credentials_file, too',
    });
  }
  const { access_key_id, secret_access_key } = await readCredentials(context.files, file);
  const store = await context.objectStore({
    endpoint,
    bucket,
    region: settings.s3_region,
    accessKeyId: access_key_id,
    secretAccessKey: secret_access_key,
  });
  const within = <T>(ms: number, work: () => Promise<T>) =>
    withDeadline(context.clock, { what: `the store at ${endpoint}`, ms }, context.signal, work);
  return {
    title: `${bucket} at ${endpoint}`,
    list: async () => {
      const objects = await within(ASK_TIMEOUT_MS, () => store.list(`${folder}/`));
      return objects.flatMap(({ key, modified }) => copyOf(key, modified));
    },
    put: (name, path) =>
      within(TRANSFER_TIMEOUT_MS, () => store.put(`${folder}/${name}${SNAPSHOT_SUFFIX}`, path)),
    remove: ({ from }) => within(ASK_TIMEOUT_MS, () => store.remove(from)),
    bring: async (from, path) => {
      // Whoever has the store may send without an end.
      const { freeBytes } = await context.files.diskSpace(dirname(path));
      const limitBytes = Math.max(0, freeBytes - ROOM_LEFT_BYTES);
      await within(TRANSFER_TIMEOUT_MS, () => store.get(from, path, limitBytes));
    },
  };
}

function copyOf(key: string, modified: Date): readonly CopiedSnapshot[] {
  if (!key.endsWith(SNAPSHOT_SUFFIX)) {
    return [];
  }
  const name = key.slice(key.lastIndexOf('/') + 1, -SNAPSHOT_SUFFIX.length);
  const kind = kindOfName(name);
  return [{ name, from: key, kind, created: modified.toISOString() }];
}

/** @throws AgentError CONFIG_INVALID; nothing of the file is repeated */
async function readCredentials(files: Files, path: string): Promise<S3Credentials> {
  const mode = (await files.stat(path))?.mode ?? 0;
  const text = await files.readText(path, CREDENTIALS_BYTES_MAX);
  const parsed = S3Credentials.safeParse(yamlOf(text));
  if (!parsed.success || (mode & OTHERS_BITS) !== 0) {
    const why = parsed.success
      ? 'others than its owner can read it'
      : 'it has not exactly access_key_id and secret_access_key';
    throw new AgentError('CONFIG_INVALID', `Cannot use ${path}: ${why}`, {
      hint: 'Correct it, then: sudo chmod 600 on it',
    });
  }
  return parsed.data;
}

function yamlOf(text: string | undefined): unknown {
  try {
    return Bun.YAML.parse(text ?? '');
  } catch {
    return undefined;
  }
}
