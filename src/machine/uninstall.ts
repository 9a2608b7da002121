import { AgentError } from '../core/errors.ts';
import { K3S_ROLES, NODE_PASSWORD_FILE } from '../core/k3s-places.ts';
import { keptSecrets } from '../host/agent/control-plane-token.ts';
import { removeWatcher } from '../host/agent/upgrade/watcher-unit.ts';
import { bytesOnDisk, type Volume } from '../host/cleaning/volumes.ts';
import { ADOPTED } from '../host/cluster/adopted-k3s.ts';
import { readLeaveNote, writeLeaveNote } from '../host/cluster/leave-note.ts';
import { unlessFull } from '../host/engine/disk-full.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { findEdits, keepEdits } from '../host/engine/own-text.ts';
import type { Change, Command, Removal, UndoOptions } from '../host/engine/resource.ts';
import { finishInstallation } from '../host/engine/step-journal.ts';
import { planUndo, undoResources } from '../host/engine/undo.ts';
import { k3sVolumes } from '../host/k3s/cleaning.ts';
import { keepsNodePassword } from '../host/k3s/configuration.ts';
import type { UnknownEntry } from '../protocol/files/host-state.ts';
import type { MachineContext } from './context.ts';
import { stateNow } from './finished.ts';
import type { Report } from './reported-steps.ts';
import { machineResources } from './resources.ts';

/** One removal, as a dry run shows it. */
export interface PlannedRemoval {
  readonly title: string;
  readonly changes: readonly Change[];
  /** Of what is run, what is known beforehand, in order. */
  readonly commands: readonly Command[];
}

export interface Uninstalled {
  /** Titles of the removals, for a person, newest first. */
  readonly removed: readonly string[];
  /** Paths that stay. `keptFiles` has the reasons. */
  readonly kept: readonly string[];
  /** Things that only another version, newer or older, can remove. */
  readonly left: readonly UnknownEntry[];
}

/** The data of an application on this machine. */
export interface FoundVolume extends Volume {
  readonly bytes: number | null;
}

/** What k3s here keeps for applications; none where k3s stays. */
export async function volumesAtStake(
  context: MachineContext,
  inventory: HostInventory,
  { keepK3s }: UndoOptions,
): Promise<readonly FoundVolume[]> {
  const isOurs = K3S_ROLES.some((role) => inventory.has('k3s', role));
  const volumes = isOurs && !keepK3s ? await k3sVolumes(context) : [];
  const sizes = await Promise.all(volumes.map(({ path }) => bytesOnDisk(context, path)));
  return volumes.map((volume, index) => ({ ...volume, bytes: sizes[index] ?? null }));
}

export interface UninstallPlan {
  readonly plan: readonly PlannedRemoval[];
  readonly kept: readonly string[];
  readonly left: readonly UnknownEntry[];
}

/** What `uninstall` would remove. Removes nothing. */
export async function planUninstall(
  context: MachineContext,
  inventory: HostInventory,
  how: UndoOptions,
): Promise<UninstallPlan> {
  const resources = machineResources(context, inventory, undefined);
  const removals = await planUndo(context, resources, how);
  const plan = removals.map(({ title, changes, commands = [] }) => ({ title, changes, commands }));
  const kept = await keptFiles(context, inventory, removals, how);
  return {
    plan: isWhole(how, inventory) ? [...plan, listRemoval(context)] : plan,
    kept,
    left: inventory.unknown(),
  };
}

function listRemoval({ places: { hostStateDirectory } }: MachineContext): PlannedRemoval {
  return {
    title: `Remove the inventory, ${hostStateDirectory}`,
    changes: [{ action: 'remove', target: hostStateDirectory }],
    commands: [],
  };
}

/**
 * Removes everything that was made here according to the inventory, newest first, and puts back what was
 * changed. What was here before us stays, and so does what only another version can remove. It may be run
 * again after a failure or a kill, because the inventory is removed last.
 */
export async function uninstall(
  context: MachineContext,
  inventory: HostInventory,
  how: UndoOptions,
  report?: Report,
): Promise<Uninstalled> {
  const isAll = isWhole(how, inventory);
  if (!isAll) {
    // What a person keeps is never taken back later. If the disk is full, go on: a removal makes room.
    await finishInstallation(context).catch(() => undefined);
  }
  const resources = machineResources(context, inventory, undefined);
  // To be read now: the files that tell it are about to be removed.
  const kept = await keptFiles(context, inventory, await planUndo(context, resources, how), how);
  await keepEdits(context);
  await noteForgotten(context, how);
  const left = inventory.unknown();
  await removeWatcher(context); // Left by a change of the version that could not go on.
  const removed = await undoResources({ ...context, report }, resources, inventory, how);
  await (isAll ? inventory.end() : finishInstallation(context));
  return { removed, kept, left };
}

/** By what the cluster was asked goes now: a run after this one could not ask again. */
async function noteForgotten(
  context: MachineContext,
  { isForgotten = false }: UndoOptions,
): Promise<void> {
  const note = await readLeaveNote(context);
  if (isForgotten && note?.state === 'leaving') {
    await unlessFull(writeLeaveNote(context, { ...note, state: 'out' }));
  }
}

/** Whether everything is removed, so that no later run needs the inventory. */
function isWhole({ keepData, keepK3s }: UndoOptions, inventory: HostInventory): boolean {
  // A k3s that was here before us stays in any case.
  return !keepData && (!keepK3s || inventory.has(ADOPTED.kind, ADOPTED.name));
}

/**
 * Files that stay: the password by which a worker comes back under its name; secrets that only a deleted
 * user may remove; and files that were here before us and that a person has changed since.
 */
async function keptFiles(
  context: MachineContext,
  inventory: HostInventory,
  removals: readonly Removal[],
  how: UndoOptions,
): Promise<readonly string[]> {
  const isWorker = inventory.has('k3s', 'agent') && !how.keepK3s;
  const edited = (await findEdits(context)).map(({ name }) => name);
  const putBack = removals.flatMap(({ originals = [] }) => originals);
  return [
    ...(isWorker && (await keepsNodePassword(context, how)) ? [NODE_PASSWORD_FILE] : []),
    ...(await keptSecrets(context, inventory, how)),
    ...(await keptSnapshots(context, how)),
    ...edited.filter((name) => putBack.includes(name)),
  ];
}

/** Whoever removes a cluster by mistake needs them. */
async function keptSnapshots(
  { files, places }: MachineContext,
  { deleteData }: UndoOptions,
): Promise<readonly string[]> {
  const { snapshotsDirectory } = places;
  const isThere = (await files.stat(snapshotsDirectory)) !== undefined;
  return isThere && !deleteData ? [snapshotsDirectory] : [];
}

/** Removes everything but the data of volumes. */
export const REMOVE_ALL: UndoOptions = {
  keepK3s: false,
  keepData: false,
  deleteData: false,
  isUnfinished: false,
};

/** Removes everything of an installation that was never finished. */
export const UNDO: UndoOptions = { ...REMOVE_ALL, isUnfinished: true };

/**
 * Refuses to take back an installation that was usable once, because people and the cluster rely on it.
 * @throws AgentError NOT_INSTALLED, STATE_NEWER, CLUSTER_EXISTS
 */
export async function checkUndo(
  context: MachineContext,
  inventory: HostInventory,
  { dryRun }: { readonly dryRun: boolean },
): Promise<void> {
  const state = await stateNow(context, inventory);
  if (state === 'none') {
    throw new AgentError('NOT_INSTALLED', 'There is nothing to take back: nothing was begun here', {
      hint: 'Only what a failed "pipeops-agent install" or "join" has made is taken back',
    });
  }
  if (state === 'finished') {
    if (!dryRun) {
      await finishInstallation(context).catch(() => undefined); // Without the note it is refused, too.
    }
    throw new AgentError(
      'CLUSTER_EXISTS',
      'This machine was in use already: that is not taken back, but uninstalled',
      {
        hint:
          'To remove it: sudo pipeops-agent uninstall (see first: --dry-run). ' +
          'If a later run has failed, run the same command again',
      },
    );
  }
}
