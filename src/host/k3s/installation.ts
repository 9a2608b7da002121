/** k3s' program and unit. k3s' own installer makes them, and its own uninstaller removes them. */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_KILLALL,
  K3S_ROLES,
  K3S_TOOLS,
  K3S_UNINSTALLERS,
  K3S_UNITS,
  type K3sRole,
  k3sUnitFile,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { unlessFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { partialPath } from '../engine/place-file.ts';
import { changeOf } from '../engine/removals.ts';
import {
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
  type UndoOptions,
} from '../engine/resource.ts';
import { settleNodePassword } from './configuration.ts';
import { dataOfBefore, keepingDataOfBefore } from './data-of-before.ts';
import { keepingFilesOfOthers } from './kept-files.ts';
import { installedK3sVersion, installK3s, type K3sInstallOptions } from './program.ts';

/** It takes a while, because the pods are ended first. */
const UNINSTALL_TIMEOUT_MS = 10 * 60_000;

interface Deps {
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
    entries: [], // The role is recorded by the resource before this one (configuration.ts).
    ...(options === undefined ? LEFT_AS_IT_IS : installationMaking(deps, options, signal)),
    undo: async (how) =>
      how.keepK3s
        ? []
        : Promise.all(
            K3S_ROLES.filter((role) => inventory.has('k3s', role)).map((role) =>
              removal(deps, inventory, role, how),
            ),
          ),
  };
}

function installationMaking(deps: Deps, options: K3sInstallOptions, signal: AbortSignal): Making {
  // The version does not matter here: changing it is an upgrade, not an installation.
  const isDone = async () =>
    (await deps.files.stat(k3sUnitFile(options.role))) !== undefined &&
    (await installedK3sVersion(deps)) !== undefined;
  return {
    isWanted: true,
    isDone,
    apply: (update) => installK3s(deps, options, update, signal),
    verify: async () => {
      const version = await installedK3sVersion(deps);
      checkVersion(version, options);
      return isDone();
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
  const keepsData = (await dataOfBefore(deps)).length > 0;
  const run = () => runUninstaller(deps, K3S_UNINSTALLERS[role]);
  return {
    title: `Remove k3s (${role}) and what runs in it`,
    changes: [
      { action: 'stop', target: K3S_UNITS[role] },
      { action: 'remove', target: k3sUnitFile(role) },
      { action: 'remove', target: K3S_EXECUTABLE },
      { action: keepsData ? 'restore' : 'remove', target: K3S_DATA_DIRECTORY },
    ],
    entries: [],
    originals: [K3S_DATA_DIRECTORY],
    alsoGone: [
      K3S_UNINSTALLERS[role],
      K3S_KILLALL,
      ...K3S_TOOLS,
      ...(keepsData ? [] : [K3S_DATA_DIRECTORY]),
    ],
    run: async () => {
      await settleNodePassword(deps, inventory, how);
      await keepingFilesOfOthers(deps, () => keepingDataOfBefore(deps, role, run));
      await removeHalfInstalled(deps.files);
    },
  };
}

async function runUninstaller(deps: Deps, script: string): Promise<void> {
  const copy = deps.places.k3sUninstallerCopy;
  const text = await deps.files.readText(script);
  const isBegun = (await deps.files.stat(copy)) !== undefined;
  if (text === undefined && !isBegun) {
    return; // The installer ended before it wrote its uninstaller.
  }
  if (text !== undefined) {
    await unlessFull(deps.files.writeAtomic(copy, text, { mode: 0o700 }));
  }
  const argv = text === undefined ? (['sh', copy] as const) : ([script] as const);
  const result = await deps.exec.run(argv, { timeoutMs: UNINSTALL_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `${script} failed: ${result.stderr.slice(-500)}`, {
      hint: 'Correct what it names, then run the same command again',
      details: { argv: [...argv], exit: result.exitCode },
    });
  }
  await deps.files.remove(copy);
}

/** What is left of an installer that ended half way. It makes these files before its own uninstaller. */
async function removeHalfInstalled(files: Files): Promise<void> {
  for (const tool of K3S_TOOLS) {
    const isLink = (await files.stat(tool))?.kind === 'link';
    if (isLink && ['k3s', K3S_EXECUTABLE].includes((await files.readLink(tool)) ?? '')) {
      await files.remove(tool);
    }
  }
  await files.remove(K3S_KILLALL);
  await files.remove(K3S_EXECUTABLE);
  await files.remove(partialPath(K3S_EXECUTABLE));
}
