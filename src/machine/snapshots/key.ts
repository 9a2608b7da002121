import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Files, Random } from '../../core/ports.ts';
import {
  decodeSnapshotKey,
  encodeSnapshotKey,
  SNAPSHOT_KEY_BYTES,
} from '../../protocol/secrets/snapshot-key.ts';

/** One line. */
const KEY_FILE_BYTES_MAX = 1_024;
const OF_ROOT = { mode: 0o600, owner: 'root:root' };

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** The key of this machine; undefined where no snapshot was made yet. @throws AgentError FILE_ACCESS */
export async function snapshotKey({ files, places }: Deps): Promise<Uint8Array | undefined> {
  return await readKeyFile(files, places.snapshotKeyFile);
}

/**
 * The same, made where there is none, with the directory. For who holds the lock of snapshots: two at once would
 * make two keys, and one of them would be lost.
 * @throws AgentError FILE_ACCESS, DISK_FULL
 */
export async function snapshotKeyMade(
  deps: Deps & { readonly random: Random },
): Promise<Uint8Array> {
  const { files, places, random } = deps;
  await files.claimDirectory(places.snapshotsDirectory, { ...OF_ROOT, mode: 0o700 });
  const known = await snapshotKey(deps);
  if (known !== undefined) {
    return known;
  }
  const key = random.bytes(SNAPSHOT_KEY_BYTES);
  await files.writeAtomic(places.snapshotKeyFile, `${encodeSnapshotKey(key)}\n`, OF_ROOT);
  return key;
}

/** @throws AgentError NOT_FOUND, USAGE, FILE_ACCESS */
export async function givenSnapshotKey({ files }: Deps, path: string): Promise<Uint8Array> {
  const key = await readKeyFile(files, path);
  if (key === undefined) {
    throw new AgentError('NOT_FOUND', `There is no file ${path}`, {
      hint: 'Write the key into it: sudo pipeops-agent snapshot key, where the snapshot was made',
    });
  }
  return key;
}

async function readKeyFile(files: Files, path: string): Promise<Uint8Array | undefined> {
  const text = await files.readText(path, KEY_FILE_BYTES_MAX);
  return text === undefined ? undefined : decodeSnapshotKey(text);
}
