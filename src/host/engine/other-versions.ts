/** Removes what another version has made or changed and no resource of this version knows. */
import { basename } from 'node:path';
import {
  K3S_EXECUTABLE,
  K3S_ROLES,
  k3sUnitFile,
  RANCHER_CONFIG_DIRECTORY,
  RANCHER_DATA_DIRECTORY,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { InventoryEntry, Original } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';
import type { PathEntry } from './originals.ts';
import { readOriginals } from './originals-file.ts';
import { putBackPath, removePath, removeShared } from './removals.ts';
import { LEFT_AS_IT_IS, type Removal, type Resource, type UndoOptions } from './resource.ts';
import { DAEMON_RELOAD, forgetFailure, systemctl } from './systemctl.ts';

/** Stays when k3s is kept. */
const OF_K3S = [
  RANCHER_CONFIG_DIRECTORY,
  RANCHER_DATA_DIRECTORY,
  K3S_EXECUTABLE,
  ...K3S_ROLES.map(k3sUnitFile),
];

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * The given resources, and two more for whatever stands in the notes and belongs to none of them. Such
 * things are removed first. But a directory that also holds things of ours is removed last, if it is
 * empty then.
 */
export function withOtherVersions(
  deps: Deps,
  inventory: HostInventory,
  known: readonly Resource[],
): readonly Resource[] {
  const places = known.flatMap(({ entries, touches }) => [
    ...entries.map(({ name }) => name),
    ...touches,
  ]);
  const holdsOurs = ({ name }: InventoryEntry) => places.some((place) => isBelow(place, name));
  const unclaimed = () => unclaimedEntries(deps.places, inventory, known);
  const around: Resource = {
    ...nothingMade('around', 'Shared directories that another version has made'),
    undo: async (how) =>
      unclaimed()
        .filter((entry) => entry.kind === 'directory' && holdsOurs(entry) && !staysWith(how, entry))
        .flatMap(({ name }) => removeShared(deps, inventory, name)),
  };
  const rest: Resource = {
    ...nothingMade('other-versions', 'What another version has made'),
    undo: async (how) => {
      const entries = unclaimed().filter(
        (entry) => !(entry.kind === 'directory' && holdsOurs(entry)) && !staysWith(how, entry),
      );
      const units = entries.filter(({ kind }) => kind === 'unit');
      const paths = entries.filter(isPath).toReversed();
      const removals = await Promise.all(paths.map((entry) => removePath(deps, inventory, entry)));
      const isOurs = ({ name }: Original) =>
        places.some((place) => place === name || isBelow(place, name)) ||
        paths.some((entry) => entry.name === name);
      const originals = (await readOriginals(deps)).filter((each) =>
        isChangedPath(deps.places, each),
      );
      const changed = originals.filter((each) => !isOurs(each) && !staysWith(how, each));
      return [
        ...units.map((entry) => unitRemoval(deps, entry)),
        ...removals.flat(),
        ...(await Promise.all(changed.map(({ kind, name }) => putBackPath(deps, { kind, name })))),
      ];
    },
  };
  return [around, ...known, rest];
}

function nothingMade(id: string, title: string) {
  return { id, title, touches: [], entries: [], ...LEFT_AS_IT_IS };
}

/** Entries that no resource claims. What is removed with a directory of ours is not among them. */
function unclaimedEntries(
  { hostStateDirectory }: Places,
  inventory: HostInventory,
  known: readonly Resource[],
): readonly InventoryEntry[] {
  const claims = known.flatMap((resource) => resource.entries);
  const wholes = claims.filter(
    ({ kind, name, isShared }) =>
      kind === 'directory' && isShared !== true && inventory.has(kind, name),
  );
  // Root's directory goes at the very end, with all that is in it.
  const covers = [hostStateDirectory, ...wholes.map(({ name }) => name)];
  return inventory
    .entries()
    .filter(
      ({ kind, name }) =>
        !claims.some((claim) => claim.kind === kind && claim.name === name) &&
        name !== hostStateDirectory &&
        !covers.some((directory) => isBelow(name, directory)) &&
        (kind === 'unit' || isPath({ kind, name })),
    );
}

function staysWith({ keepK3s }: UndoOptions, { name }: { readonly name: string }): boolean {
  return keepK3s && OF_K3S.some((place) => name === place || isBelow(name, place));
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}

function isPath(entry: InventoryEntry): entry is PathEntry {
  return ['file', 'directory', 'link'].includes(entry.kind);
}

/** Nothing in the daemon's directory: root follows no path there. */
function isChangedPath(
  { stateDirectory }: Places,
  original: Original,
): original is Original & PathEntry {
  return (
    ['file', 'directory', 'link'].includes(original.kind) && !isBelow(original.name, stateDirectory)
  );
}

function unitRemoval(deps: Deps, entry: InventoryEntry): Removal {
  const { name: path } = entry;
  const unit = basename(path);
  return {
    title: `Stop and remove ${path}`,
    changes: [
      { action: 'stop', target: unit },
      { action: 'remove', target: path },
    ],
    commands: [['systemctl', 'disable', '--quiet', '--now', unit], DAEMON_RELOAD],
    entries: [entry],
    run: async () => {
      if ((await deps.files.stat(path)) !== undefined) {
        await systemctl(deps, 'disable', '--quiet', '--now', unit);
        await deps.files.remove(path);
      }
      await systemctl(deps, 'daemon-reload');
      await forgetFailure(deps, unit);
    },
  };
}
