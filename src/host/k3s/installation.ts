/** k3s' program and unit: its own installer makes them, and cleaning.ts takes them away. */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_KILLALL,
  K3S_NEXT_FILE,
  K3S_PREVIOUS_FILE,
  K3S_ROLES,
  K3S_TOOLS,
  K3S_UNINSTALLERS,
  K3S_UNITS,
  type K3sRole,
  k3sUnitFile,
  RANCHER_DATA_DIRECTORY,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { changeOf } from '../engine/removals.ts';
import {
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
  type UndoOptions,
} from '../engine/resource.ts';
import { type CleaningDeps, cleanK3s, k3sVolumes } from './cleaning.ts';
import { settleNodePassword } from './configuration.ts';
import { dataOfBefore, restoreAccess } from './data-of-before.ts';
import { putBackSetAside } from './kept-files.ts';
import { PREPARED, preparedRemovals } from './prepared.ts';
import { installedK3sVersion, installK3s, type K3sInstallOptions } from './program.ts';

interface Deps extends CleaningDeps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** @param options undefined where nothing is to be made */
export function k3sInstallation(
  deps: Deps,
  inventory: HostInventory,
  options: K3sInstallOptions | undefined,
  signal: AbortSignal,
): Resource {
  return {
    id: 'k3s-install',
    title: 'Install k3s',
    touches: [K3S_EXECUTABLE, ...(options === undefined ? [] : [k3sUnitFile(options.role)])],
    entries: [PREPARED], // The role is recorded by the resource before this one (configuration.ts).
    ...(options === undefined ? LEFT_AS_IT_IS : installationMaking(deps, options, signal)),
    undo: async (how) =>
      how.keepK3s
        ? []
        : [
            ...(await Promise.all(
              K3S_ROLES.filter((role) => inventory.has('k3s', role)).map((role) =>
                removal(deps, inventory, role, how),
              ),
            )),
            ...(await preparedRemovals(deps, inventory)),
          ],
  };
}

function installationMaking(deps: Deps, options: K3sInstallOptions, signal: AbortSignal): Making {
  // The version does not matter here: changing it is an upgrade, not an installation.
  const hasUnit = async () => (await deps.files.stat(k3sUnitFile(options.role))) !== undefined;
  const isDone = async () => (await hasUnit()) && (await installedK3sVersion(deps)) !== undefined;
  return {
    isWanted: true,
    isDone,
    apply: (update, tellPart) => installK3s(deps, options, { update, tellPart }, signal),
    commands: async () => [['sh', deps.places.k3sInstallerFile]],
    verify: async () => {
      const version = await installedK3sVersion(deps);
      checkVersion(version, options);
      return version !== undefined && (await hasUnit());
    },
    changes: async () => [
      await changeOf(deps, K3S_EXECUTABLE, await isDone()),
      await changeOf(deps, k3sUnitFile(options.role), await isDone()),
    ],
  };
}

/** A mirror may serve another version under the name of the one that was asked for. */
function checkVersion(found: string | undefined, { version, origin }: K3sInstallOptions): void {
  if (version !== undefined && found !== undefined && found !== version) {
    throw new AgentError('DOWNLOAD_CORRUPT', `k3s ${found} was placed instead of ${version}`, {
      hint: `Check what ${origin.releasesUrl ?? 'GitHub'} has under that version, or name another one`,
    });
  }
}

async function removal(
  deps: Deps,
  inventory: HostInventory,
  role: K3sRole,
  how: UndoOptions,
): Promise<Removal> {
  const found = (await k3sVolumes(deps)).map(({ path }) => path);
  const volumes = how.deleteData ? [] : found;
  const ofBefore = await dataOfBefore(deps);
  const kept = [...ofBefore, ...volumes];
  const action = ofBefore.length > 0 ? 'restore' : kept.length > 0 ? 'change' : 'remove';
  return {
    title: `Remove k3s (${role}) and what runs in it`,
    changes: [
      { action: 'stop', target: K3S_UNITS[role] },
      { action: 'remove', target: k3sUnitFile(role) },
      { action: 'remove', target: K3S_EXECUTABLE },
      { action, target: K3S_DATA_DIRECTORY },
      ...volumes.map((target) => ({ action: 'keep', target }) as const),
    ],
    entries: [],
    alsoGone: [
      K3S_UNINSTALLERS[role],
      K3S_KILLALL,
      ...K3S_TOOLS,
      K3S_NEXT_FILE,
      K3S_PREVIOUS_FILE,
      ...(kept.length === 0 ? [K3S_DATA_DIRECTORY] : []),
    ],
    run: async () => {
      await settleNodePassword(deps, inventory, how);
      await cleanK3s(deps, role, kept);
      await restoreAccess(deps);
      await putBackSetAside(deps);
      if (found.length > volumes.length) {
        // An earlier removal has kept volumes, and with them this.
        await deps.files.removeEmptyDirectory(RANCHER_DATA_DIRECTORY);
      }
    },
  };
}
