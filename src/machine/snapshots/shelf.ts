/** The snapshots on this machine: `NAME.snapshot` in root's directory. */
import { AgentError, expectedError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import {
  SNAPSHOT_SUFFIX,
  type SnapshotHeader,
  type SnapshotKind,
} from '../../protocol/files/snapshot.ts';
import { readSnapshotHeader } from './sealed-file.ts';

/** Between two clocks that are right. */
const CLOCKS_DIFFER_MS = 3_600_000;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** What `snapshot list --json` tells of each. */
export interface SnapshotEntry {
  readonly name: string;
  readonly path: string;
  /** Of the file. */
  readonly bytes: number;
  readonly kind: SnapshotKind;
  /** ISO time. */
  readonly created: string;
  readonly node: string;
  /** SHA-256 of its CA. */
  readonly cluster: string;
  readonly datastore: 'sqlite' | 'etcd';
  readonly k3s: string | null;
  readonly key_id: string;
}

export function snapshotPath({ snapshotsDirectory }: Places, name: string): string {
  return `${snapshotsDirectory}/${name}${SNAPSHOT_SUFFIX}`;
}

/** Newest first; what cannot be read is left out. @throws AgentError FILE_ACCESS */
export async function listSnapshots(deps: Deps): Promise<readonly SnapshotEntry[]> {
  const { snapshotsDirectory } = deps.places;
  const names = (await deps.files.list(snapshotsDirectory)).filter((name) =>
    name.endsWith(SNAPSHOT_SUFFIX),
  );
  const entries: SnapshotEntry[] = [];
  for (const name of names) {
    const path = `${snapshotsDirectory}/${name}`;
    try {
      entries.push(await entryOf(deps, path, await readSnapshotHeader(deps, path)));
    } catch (thrown) {
      expectedError(thrown); // A newer version's, or damaged: not ours to tell of, or to remove.
    }
  }
  return entries.toSorted((a, b) => (a.created < b.created ? 1 : -1));
}

export async function entryOf(
  { files }: Pick<Deps, 'files'>,
  path: string,
  header: SnapshotHeader,
): Promise<SnapshotEntry> {
  const { name, kind, created, node, cluster, datastore, k3s, key_id } = header;
  const bytes = (await files.stat(path))?.size ?? 0;
  return { name, path, bytes, kind, created, node, cluster, datastore, k3s, key_id };
}

/** @throws AgentError NOT_FOUND */
export async function findSnapshot(deps: Deps, name: string): Promise<SnapshotEntry> {
  const found = (await listSnapshots(deps)).find((each) => each.name === name);
  if (found === undefined) {
    throw new AgentError('NOT_FOUND', `There is no snapshot "${name}" on this machine`, {
      hint: 'See which there are: sudo pipeops-agent snapshot list',
    });
  }
  return found;
}

/** @throws AgentError NOT_FOUND, FILE_ACCESS */
export async function deleteSnapshot(deps: Deps, name: string): Promise<void> {
  const { path } = await findSnapshot(deps, name);
  await deps.files.remove(path);
}

/** How many are kept, and for how long. */
export interface Retention {
  readonly keep: number;
  readonly keepForMs: number;
}

/**
 * Those that are to go: beyond the number, or too old. Each kind counts for itself, so that whoever commands
 * many pushes none of the schedule out. What a person made stays, and so does the newest of each kind.
 */
export function expired<E extends Pick<SnapshotEntry, 'kind' | 'created'>>(
  entries: readonly E[],
  { keep, keepForMs }: Retention,
  now: Date,
): readonly E[] {
  const kinds: readonly SnapshotKind[] = ['scheduled', 'command', 'upgrade'];
  return kinds.flatMap((kind) => {
    const ofKind = entries
      .filter((entry) => entry.kind === kind)
      .toSorted((a, b) => (a.created < b.created ? 1 : -1));
    // A clock that was ahead has dated the others: they protect none, and go first.
    const newestFirst = [
      ...ofKind.filter((entry) => !isOfFuture(entry, now)),
      ...ofKind.filter((entry) => isOfFuture(entry, now)),
    ];
    return newestFirst.filter(
      ({ created }, index) =>
        index > 0 && (index >= keep || now.getTime() - Date.parse(created) > keepForMs),
    );
  });
}

/** Dated by a clock that was ahead, or the one here is behind; a store's own differs a little. */
export function isOfFuture({ created }: Pick<SnapshotEntry, 'created'>, now: Date): boolean {
  return Date.parse(created) > now.getTime() + CLOCKS_DIFFER_MS;
}
