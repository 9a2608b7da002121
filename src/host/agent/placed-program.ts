/** A program that install.sh has placed, where the installation itself was refused. */
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { InventoryEntry } from '../../protocol/files/host-state.ts';
import type { HostInventory } from '../engine/inventory.ts';

/** @returns the inventory, and where that is empty also what install.sh has placed; nothing is written for that */
export async function withPlacedProgram(
  deps: { readonly files: Files; readonly places: Places },
  inventory: HostInventory,
): Promise<HostInventory> {
  const isEmpty = inventory.entries().length + inventory.unknown().length === 0;
  let placed = isEmpty ? await placedEntries(deps) : [];
  const isAmong = (entries: readonly InventoryEntry[], kind: string, name: string) =>
    entries.some((entry) => entry.kind === kind && entry.name === name);
  return {
    ...inventory,
    entries: () => [...inventory.entries(), ...placed],
    has: (kind, name) => inventory.has(kind, name) || isAmong(placed, kind, name),
    forget: async (gone) => {
      placed = placed.filter(({ kind, name }) => !isAmong(gone, kind, name));
      await inventory.forget(gone);
    },
  };
}

async function placedEntries({
  files,
  places: { configFile, executableLink, stateDirectory, unitFile, versionsDirectory },
}: {
  readonly files: Files;
  readonly places: Places;
}): Promise<readonly InventoryEntry[]> {
  for (const path of [unitFile, configFile, stateDirectory]) {
    if ((await files.stat(path)) !== undefined) {
      return []; // An installation whose inventory was lost: a part of it helps nobody.
    }
  }
  const isLink = (await files.stat(executableLink))?.kind === 'link';
  const target = isLink ? await files.readLink(executableLink) : undefined;
  return target?.startsWith(`${versionsDirectory}/`) === true
    ? [
        { kind: 'directory', name: versionsDirectory },
        { kind: 'link', name: executableLink },
      ]
    : [];
}
