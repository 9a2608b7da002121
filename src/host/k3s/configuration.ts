/** k3s' configuration, and the directories that k3s fills. Made before k3s, removed after it. */
import { dirname } from 'node:path';
import {
  K3S_ADMIN_KUBECONFIG_FILE,
  K3S_CONFIG_FILE,
  K3S_DATA_DIRECTORY,
  K3S_DIRECTORY,
  K3S_DROP_IN_DIRECTORY,
  K3S_KUBELET_CERTIFICATE_FILE,
  K3S_ROLES,
  type K3sRole,
  NODE_PASSWORD_FILE,
  RANCHER_CONFIG_DIRECTORY,
  RANCHER_DATA_DIRECTORY,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { InventoryEntry } from '../../protocol/files/host-state.ts';
import { unlessFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import {
  keepIfThere,
  originalOf,
  putBack,
  recordMissing,
  removeIfEmpty,
} from '../engine/originals.ts';
import { changeOf, removePath, removeShared, restoreOf } from '../engine/removals.ts';
import {
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
  type UndoOptions,
} from '../engine/resource.ts';
import { isK3sConfigWritten, type K3sConfig, k3sConfigText, writeK3sConfig } from './config.ts';
import { noteDataOfBefore } from './data-of-before.ts';
import { hasFilesOfOthers } from './kept-files.ts';
import { askK3sRestart } from './restart.ts';

/** Holds the password by which the cluster recognises a worker. k3s' own uninstaller keeps it, too. */
const NODE = { kind: 'directory', name: dirname(NODE_PASSWORD_FILE) } as const;
/** k3s' own uninstaller removes /etc/rancher/k3s, but neither its parent nor the node password. */
const SHARED = [RANCHER_CONFIG_DIRECTORY, NODE.name, RANCHER_DATA_DIRECTORY].map(
  (name) => ({ kind: 'directory', name, isShared: true }) as const,
);
/** Directories that k3s' uninstaller removes, although they may have been here before us. */
const EMPTIED = [K3S_DIRECTORY, K3S_DROP_IN_DIRECTORY];

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export interface ToldK3s {
  readonly role: K3sRole;
  readonly config: K3sConfig;
  /** The token with which a machine joins; undefined for the first server. */
  readonly joinToken: string | undefined;
}

/** @param told undefined where nothing is to be made */
export function k3sConfiguration(
  deps: Deps,
  inventory: HostInventory,
  told: ToldK3s | undefined,
): Resource {
  return {
    id: 'k3s-config',
    title: 'Configure k3s',
    touches: pathsOf(deps.places, told),
    entries: [...K3S_ROLES.map(k3sEntry), ...SHARED],
    ...(told === undefined ? LEFT_AS_IT_IS : configurationMaking(deps, inventory, told)),
    undo: async (how) => {
      const roles = K3S_ROLES.filter((role) => inventory.has('k3s', role));
      return how.keepK3s
        ? []
        : [
            ...(await configurationRemovals(deps, inventory, roles)),
            ...removeShared(deps, inventory, RANCHER_DATA_DIRECTORY),
            ...(await passwordRemovals(deps, inventory, how)),
            ...removeShared(deps, inventory, RANCHER_CONFIG_DIRECTORY),
          ];
    },
  };
}

/** Whether the files have what k3s is to read at its start. */
export async function isK3sConfigured(deps: Deps, told: ToldK3s): Promise<boolean> {
  return (
    (await isK3sConfigWritten(deps, told.config)) &&
    (told.joinToken === undefined ||
      (await deps.files.readText(deps.places.k3sTokenFile)) === `${told.joinToken}\n`)
  );
}

function configurationMaking(deps: Deps, inventory: HostInventory, told: ToldK3s): Making {
  const isDone = () => isK3sConfigured(deps, told);
  return {
    isWanted: true,
    isDone,
    apply: async () => {
      if (!inventory.has('k3s', told.role)) {
        await noteDataOfBefore(deps);
        await keepIfThere(deps, [...EMPTIED, K3S_CONFIG_FILE]);
      }
      await inventory.record(k3sEntry(told.role));
      await askK3sRestart(deps, told.role);
      for (const entry of SHARED) {
        await recordMissing(deps, inventory, entry);
      }
      await writeK3sConfig(deps, told.config);
      if (told.joinToken !== undefined) {
        await deps.files.writeAtomic(deps.places.k3sTokenFile, `${told.joinToken}\n`, {
          mode: 0o600,
        });
      }
    },
    changes: async () => {
      const isPlaced = await isDone();
      const text = await k3sConfigText(deps, told.config);
      return await Promise.all(
        pathsOf(deps.places, told).map((path) =>
          changeOf(deps, path, isPlaced, path === K3S_CONFIG_FILE ? text : undefined),
        ),
      );
    },
  };
}

function pathsOf({ k3sTokenFile }: Places, told: ToldK3s | undefined): readonly string[] {
  return [K3S_CONFIG_FILE, ...(told?.joinToken === undefined ? [] : [k3sTokenFile])];
}

function k3sEntry(role: K3sRole): InventoryEntry {
  return { kind: 'k3s', name: role };
}

async function configurationRemovals(
  deps: Deps,
  inventory: HostInventory,
  roles: readonly K3sRole[],
): Promise<readonly Removal[]> {
  if (!roles.some((role) => inventory.has('k3s', role))) {
    return [];
  }
  const original = await originalOf(deps, K3S_CONFIG_FILE);
  return [
    {
      title: 'Remove the configuration of k3s',
      changes: [
        original === undefined
          ? { action: 'remove', target: K3S_CONFIG_FILE }
          : await restoreOf(deps, K3S_CONFIG_FILE),
      ],
      entries: roles.map(k3sEntry),
      // What was in the data directory before is noted as long as k3s may be cleaned away once more.
      originals: [K3S_DATA_DIRECTORY, ...EMPTIED, K3S_CONFIG_FILE],
      alsoGone: await emptied(deps, inventory),
      run: async () => {
        for (const file of [K3S_CONFIG_FILE, K3S_ADMIN_KUBECONFIG_FILE, deps.places.k3sTokenFile]) {
          await deps.files.remove(file);
        }
        for (const directory of EMPTIED.toReversed()) {
          await removeIfEmpty(deps, directory);
        }
        for (const path of [...EMPTIED, K3S_CONFIG_FILE]) {
          await putBack(deps, path);
        }
      },
    },
  ];
}

/** Those of EMPTIED that are gone afterwards. */
async function emptied(deps: Deps, inventory: HostInventory): Promise<readonly string[]> {
  const ours = inventory.entries().map(({ name }) => name);
  const others = (await hasFilesOfOthers(deps.files, ours)) ? [K3S_DIRECTORY] : [];
  const gone: string[] = [];
  for (const directory of EMPTIED) {
    if (!others.includes(directory) && (await originalOf(deps, directory)) === undefined) {
      gone.push(directory);
    }
  }
  return gone;
}

/**
 * On a server the password is removed with its directory. A worker keeps it, once the cluster recognises
 * the machine by it.
 */
async function passwordRemovals(
  deps: Deps,
  inventory: HostInventory,
  how: UndoOptions,
): Promise<readonly Removal[]> {
  if (!inventory.has('k3s', 'agent')) {
    return removePath(deps, inventory, NODE);
  }
  if (await keepsNodePassword(deps, how)) {
    return [];
  }
  // If an earlier uninstall has kept it, the inventory no longer has it.
  const isOurs = inventory.has('directory', NODE.name);
  if (!isOurs && !isPasswordUseless(how)) {
    return [];
  }
  return [
    {
      title: `Remove directory ${NODE.name}`,
      changes: [{ action: 'remove', target: NODE.name }],
      entries: [NODE],
      shared: NODE.name,
      alsoGone: [NODE_PASSWORD_FILE],
      run: async () => {
        if (isPasswordUseless(how) || isOurs) {
          await deps.files.remove(NODE_PASSWORD_FILE);
        }
        await removeIfEmpty(deps, NODE.name);
        await removeIfEmpty(deps, RANCHER_CONFIG_DIRECTORY);
      },
    },
  ];
}

/** Whether this worker has a password and keeps it. */
export async function keepsNodePassword(deps: Deps, how: UndoOptions): Promise<boolean> {
  const isThere = (await deps.files.stat(NODE_PASSWORD_FILE)) !== undefined;
  // If somebody has removed that directory, nobody can tell. Then the password counts as known.
  const isKnown =
    !how.isUnfinished ||
    (await deps.files.stat(K3S_KUBELET_CERTIFICATE_FILE)) !== undefined ||
    (await deps.files.stat(dirname(K3S_KUBELET_CERTIFICATE_FILE))) === undefined;
  return isThere && isKnown && !isPasswordUseless(how);
}

function isPasswordUseless({ deleteData, isForgotten = false }: UndoOptions): boolean {
  return deleteData || isForgotten;
}

/**
 * To be called before k3s is removed, together with all that tells whether the cluster knows this worker.
 * Either removes the password or forgets that it is ours, so that no later step removes it.
 */
export async function settleNodePassword(
  deps: Deps,
  inventory: HostInventory,
  how: UndoOptions,
): Promise<void> {
  if (
    !how.isUnfinished ||
    !inventory.has('k3s', 'agent') ||
    !inventory.has('directory', NODE.name)
  ) {
    return;
  }
  if (await keepsNodePassword(deps, how)) {
    // If this cannot be written, a later run keeps it, too: by then nobody can tell that it is unknown.
    await unlessFull(inventory.forget([NODE]));
  } else {
    await deps.files.remove(NODE_PASSWORD_FILE);
  }
}
