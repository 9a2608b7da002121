/** k3s' program on a machine that is to become an image: in its place, and nothing else of k3s. */
import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { changeOf, removePath } from '../engine/removals.ts';
import type { Removal, Resource } from '../engine/resource.ts';
import type { K3sOrigin } from './origin.ts';
import { installedK3sVersion } from './program.ts';

/** Stands in the inventory from then on: an installation takes it for its own. */
export const PREPARED = { kind: 'file', name: K3S_EXECUTABLE } as const;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** Whether the program that stands there was placed by `prepare-image`, and nothing of k3s was set up since. */
export function isPrepared(inventory: HostInventory): boolean {
  return inventory.has(PREPARED.kind, PREPARED.name);
}

/** @param version the newest one when undefined */
export function preparedK3s(
  deps: Deps,
  inventory: HostInventory,
  { version, origin }: { readonly version: string | undefined; readonly origin: K3sOrigin },
  signal: AbortSignal,
): Resource {
  const isDone = async () => {
    const installed = isPrepared(inventory) ? await installedK3sVersion(deps) : undefined;
    return installed !== undefined && (version === undefined || version === installed);
  };
  return {
    id: 'k3s-program',
    title: 'Place k3s',
    touches: [K3S_EXECUTABLE],
    entries: [PREPARED],
    isWanted: true,
    isDone,
    apply: async (update) => {
      await inventory.record(PREPARED);
      const wanted = version ?? (await origin.newestVersion(signal));
      await origin.placeProgram(wanted, K3S_EXECUTABLE, update, signal);
    },
    changes: async () => [await changeOf(deps, K3S_EXECUTABLE, await isDone())],
    undo: () => preparedRemovals(deps, inventory),
  };
}

/** Where no k3s was set up with it: else it goes with that. */
export async function preparedRemovals(
  deps: Deps,
  inventory: HostInventory,
): Promise<readonly Removal[]> {
  return await removePath(deps, inventory, PREPARED);
}
