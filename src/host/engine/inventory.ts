import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import {
  INVENTORY_READER,
  Inventory,
  type InventoryEntry,
  isKnownEntry,
  type UnknownEntry,
} from '../../protocol/files/host-state.ts';
import { endOriginals, readUnknownOriginals } from './originals-file.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

/**
 * The list of what was made on this machine, kept in a file. What was here before is not in it, and so
 * is never removed.
 */
export interface HostInventory {
  entries(): readonly InventoryEntry[];
  /** What another version has made or changed and this version cannot take back. */
  unknown(): readonly UnknownEntry[];
  has(kind: InventoryEntry['kind'], name: string): boolean;
  /**
   * Records something before it is made, so that a run that is killed cannot forget it. Does nothing
   * when it is recorded already.
   */
  record(entry: InventoryEntry): Promise<void>;
  /** Removes entries from the list, once the things themselves are gone. */
  forget(entries: readonly InventoryEntry[]): Promise<void>;
  /** Removes the list when all is removed. Entries that only another version knows stay in it. */
  end(): Promise<void>;
}

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/**
 * Reads the inventory, and with it which originals only another version can put back.
 * @throws AgentError STATE_NEWER; FILE_ACCESS when one of the two files cannot be read
 */
export async function openInventory(deps: Deps): Promise<HostInventory> {
  const { files, places } = deps;
  let inventory = await read(deps);
  const unknownOriginals = await readUnknownOriginals(deps);
  const has = (kind: InventoryEntry['kind'], name: string) =>
    inventory.entries.some((entry) => entry.kind === kind && entry.name === name);
  const isDaemons = ({ name }: UnknownEntry) =>
    isOnlyDaemons(places, name) && !has('directory', places.stateDirectory);
  const known = () =>
    inventory.entries
      .filter((entry) => isKnownEntry(places, entry))
      .filter((entry) => !isDaemons(entry));
  const unknown = () =>
    inventory.entries.filter((entry) => !isKnownEntry(places, entry) || isDaemons(entry));
  const write = async (entries: Inventory['entries']) => {
    const next = { ...inventory, entries };
    await files.claimDirectory(places.hostStateDirectory, { mode: 0o700 });
    await writeStateFile(deps, places.inventoryFile, next, 0o600);
    inventory = next; // Only after it was written: if that fails, the next call tries again.
  };
  return {
    entries: known,
    unknown: () => [...unknown(), ...unknownOriginals],
    has,
    record: async ({ kind, name }) => {
      if (!has(kind, name)) {
        await write([...inventory.entries, { kind, name }]);
      }
    },
    forget: async (gone) => {
      const left = inventory.entries.filter(
        ({ kind, name }) => !gone.some((entry) => entry.kind === kind && entry.name === name),
      );
      if (left.length < inventory.entries.length) {
        await write(left);
      }
    },
    end: async () => {
      if (unknown().length + unknownOriginals.length === 0) {
        await files.removeTree(places.hostStateDirectory);
        return;
      }
      await write(unknown());
      await endOriginals(deps);
      for (const name of await files.list(places.hostStateDirectory)) {
        await removeBeside(deps, `${places.hostStateDirectory}/${name}`);
      }
    },
  };
}

/**
 * Whether only the daemon could remove this. Root follows no path inside the daemon's directory, and by
 * now the daemon is gone.
 */
function isOnlyDaemons(places: Places, name: string): boolean {
  const isHandedOver =
    name === places.controlPlaneTokenFile || name === places.proxyCredentialsFile;
  return name.startsWith(`${places.stateDirectory}/`) && !isHandedOver;
}

async function removeBeside({ files, places }: Deps, path: string): Promise<void> {
  if ((await files.stat(path))?.kind === 'directory') {
    await files.removeTree(path);
  } else if (path !== places.inventoryFile && path !== places.originalsFile) {
    await files.remove(path);
  }
}

async function read(deps: Deps): Promise<Inventory> {
  const found = await readStateFile(deps, {
    path: deps.places.inventoryFile,
    schema: Inventory,
    reader: INVENTORY_READER,
    safe: 'what was installed here is all in it',
    repair: 'Restore it from a backup; without it nobody knows what was installed here',
  });
  return found ?? { v: INVENTORY_READER, entries: [] };
}
