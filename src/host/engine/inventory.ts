import { AgentError } from '../../core/errors.ts';
import { HOST_STATE_DIRECTORY, INVENTORY_FILE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { Inventory, type InventoryEntry } from '../../protocol/files/host-state.ts';

/** What was found on the machine before us is not recorded, so it is never removed. */
export interface HostInventory {
  entries(): readonly InventoryEntry[];
  has(kind: InventoryEntry['kind'], name: string): boolean;
  /**
   * Records, durably and before it is made, what is about to be made. Does nothing when it is
   * recorded already.
   */
  record(entry: InventoryEntry): Promise<void>;
}

/** @throws AgentError FILE_ACCESS when the inventory cannot be read */
export async function openInventory(deps: { readonly files: Files }): Promise<HostInventory> {
  let entries = await read(deps.files);
  const has = (kind: InventoryEntry['kind'], name: string) =>
    entries.some((entry) => entry.kind === kind && entry.name === name);
  return {
    entries: () => entries,
    has,
    record: async (entry) => {
      if (has(entry.kind, entry.name)) {
        return;
      }
      entries = [...entries, entry];
      await deps.files.claimDirectory(HOST_STATE_DIRECTORY, { mode: 0o700 });
      await deps.files.writeAtomic(
        INVENTORY_FILE,
        `${JSON.stringify({ v: 1, entries }, null, 2)}\n`,
        {
          mode: 0o600,
        },
      );
    },
  };
}

/** Records a path before it is made, unless it is there already and thus somebody else's. */
export async function recordNew(
  deps: { readonly files: Files },
  inventory: HostInventory,
  entry: InventoryEntry & { readonly kind: 'file' | 'directory' | 'link' | 'unit' },
): Promise<void> {
  if ((await deps.files.stat(entry.name)) === undefined) {
    await inventory.record(entry);
  }
}

async function read(files: Files): Promise<readonly InventoryEntry[]> {
  const text = await files.readText(INVENTORY_FILE);
  if (text === undefined) {
    return [];
  }
  const parsed = Inventory.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new AgentError(
      'FILE_ACCESS',
      `Cannot use the inventory ${INVENTORY_FILE}: it is damaged`,
      {
        hint: 'Restore it from a backup; without it nobody knows what was installed here',
      },
    );
  }
  return parsed.data.entries;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it.
  }
}
