/** Removes what a lab leaves behind, also one whose test run was killed. */

import { join } from 'node:path';
import { cacheDirectory, exists } from './cache.ts';
import { destroyGroup, groupsOfSlot } from './cgroups.ts';
import { type FileLock, takeLock } from './file-lock.ts';
import { runCommand } from './host-command.ts';
import { removeBridge, SLOT_COUNT } from './network.ts';

const REMOVE_TIMEOUT_MS = 120_000;

/** Where the machines of a slot are. */
export function slotDirectory(slot: number): string {
  return join(cacheDirectory(), 'labs', String(slot));
}

/**
 * Ends the machines of a slot and removes their cgroups, bridge and files. Only for the holder of
 * the slot's lock: then every process in those cgroups is a leftover.
 */
export async function clearSlot(slot: number): Promise<void> {
  for (const group of await groupsOfSlot(slot)) {
    await destroyGroup(group);
  }
  await removeBridge(slot);
  const directory = slotDirectory(slot);
  if (await exists(directory)) {
    const remove = ['rm', '--recursive', '--force', '--one-file-system', directory];
    await runCommand(remove, { timeoutMs: REMOVE_TIMEOUT_MS });
  }
}

export interface ClaimedSlot {
  readonly slot: number;
  readonly lock: FileLock;
}

/**
 * Takes the first free slot, and clears it and all other free ones: what is there was left by runs
 * that are gone, because their locks are free.
 * @throws Error when other runs on this host have all slots.
 */
export async function claimSlot(): Promise<ClaimedSlot> {
  let claimed: ClaimedSlot | undefined;
  for (let slot = 1; slot <= SLOT_COUNT; slot += 1) {
    if (claimed !== undefined && !(await exists(slotDirectory(slot)))) {
      continue;
    }
    const lock = await takeLock(`${slotDirectory(slot)}.lock`, 0);
    if (lock === undefined) {
      continue;
    }
    await clearSlot(slot);
    if (claimed === undefined) {
      claimed = { slot, lock };
    } else {
      await lock.release();
    }
  }
  if (claimed === undefined) {
    throw new Error(
      `Cannot open a lab: other test runs have all ${SLOT_COUNT} slots (see ${slotDirectory(1)}.lock)`,
    );
  }
  return claimed;
}
