/** k3s' program and unit: its own installer makes them, its own uninstaller takes them away. */
import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import {
  HOST_STATE_DIRECTORY,
  K3S_DATA_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_UNITS,
  type K3sRole,
} from '../../core/places.ts';
import type { Clock, Exec, Files, Http } from '../../core/ports.ts';
import { unlessFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { changeOf } from '../engine/removals.ts';
import {
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
  type UndoOptions,
} from '../engine/resource.ts';
import { settleNodePassword } from './configuration.ts';
import { keepingFilesOfOthers } from './kept-files.ts';
import { installedK3sVersion, installK3s, type K3sInstallOptions } from './program.ts';

/** k3s ends its pods first. */
const UNINSTALL_TIMEOUT_MS = 10 * 60_000;
const UNINSTALLERS: Readonly<Record<K3sRole, string>> = {
  server: '/usr/local/bin/k3s-uninstall.sh',
  agent: '/usr/local/bin/k3s-agent-uninstall.sh',
};
/** The uninstaller removes itself before it is done: by this copy a run that was killed goes on. */
const UNINSTALLER_COPY = `${HOST_STATE_DIRECTORY}/k3s-uninstall.sh`;
const DATA_DIRECTORY = '/var/lib/rancher/k3s';
const KILLALL = '/usr/local/bin/k3s-killall.sh';
const TOOLS = ['kubectl', 'crictl', 'ctr'].map((tool) => `${dirname(K3S_EXECUTABLE)}/${tool}`);

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  /** The way to downloads. */
  readonly http: Http;
  readonly env: Readonly<Record<string, string | undefined>>;
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
    touches: [K3S_EXECUTABLE, ...(options === undefined ? [] : [unitFile(options.role)])],
    entries: [], // The role is recorded by what is made before it.
    ...(options === undefined ? LEFT_AS_IT_IS : installationMaking(deps, options, signal)),
    undo: async (how) =>
      how.keepK3s
        ? []
        : (Object.keys(UNINSTALLERS) as K3sRole[])
            .filter((role) => inventory.has('k3s', role))
            .map((role) => removal(deps, inventory, role, how)),
  };
}

function installationMaking(deps: Deps, options: K3sInstallOptions, signal: AbortSignal): Making {
  // Whatever the version: moving to another one is an upgrade, not an installation.
  const isDone = async () =>
    (await deps.files.stat(unitFile(options.role))) !== undefined &&
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
      await changeOf(deps, unitFile(options.role), await isDone()),
    ],
  };
}

/** A mirror may serve another one under the name of the version that was asked for. */
function checkVersion(found: string | undefined, { version, mirror }: K3sInstallOptions): void {
  if (version !== undefined && found !== undefined && found !== version) {
    throw new AgentError('DOWNLOAD_CORRUPT', `k3s ${found} was placed instead of ${version}`, {
      hint: `Check what ${mirror ?? 'GitHub'} has under that version, or name another one`,
    });
  }
}

function unitFile(role: K3sRole): string {
  return `/etc/systemd/system/${K3S_UNITS[role]}`;
}

function removal(deps: Deps, inventory: HostInventory, role: K3sRole, how: UndoOptions): Removal {
  return {
    title: `Remove k3s (${role}) and what runs in it`,
    changes: [
      { action: 'stop', target: K3S_UNITS[role] },
      { action: 'remove', target: unitFile(role) },
      { action: 'remove', target: K3S_EXECUTABLE },
      { action: 'remove', target: K3S_DATA_DIRECTORY },
    ],
    entries: [],
    alsoGone: [UNINSTALLERS[role], KILLALL, ...TOOLS, DATA_DIRECTORY],
    run: async () => {
      await settleNodePassword(deps, inventory, how);
      await keepingFilesOfOthers(deps, () => runUninstaller(deps, UNINSTALLERS[role]));
      await removeHalfInstalled(deps.files);
    },
  };
}

async function runUninstaller(deps: Deps, script: string): Promise<void> {
  const text = await deps.files.readText(script);
  const isBegun = (await deps.files.stat(UNINSTALLER_COPY)) !== undefined;
  if (text === undefined && !isBegun) {
    return; // The installer has not come that far.
  }
  if (text !== undefined) {
    await unlessFull(deps.files.writeAtomic(UNINSTALLER_COPY, text, { mode: 0o700 }));
  }
  const argv = text === undefined ? (['sh', UNINSTALLER_COPY] as const) : ([script] as const);
  const result = await deps.exec.run(argv, { timeoutMs: UNINSTALL_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `${script} failed: ${result.stderr.slice(-500)}`, {
      hint: 'Correct what it names, then run the same command again',
      details: { argv: [...argv], exit: result.exitCode },
    });
  }
  await deps.files.remove(UNINSTALLER_COPY);
}

/** What an installer that ended half way has left: it makes these before its own uninstaller. */
async function removeHalfInstalled(files: Files): Promise<void> {
  for (const tool of TOOLS) {
    const isLink = (await files.stat(tool))?.kind === 'link';
    if (isLink && ['k3s', K3S_EXECUTABLE].includes((await files.readLink(tool)) ?? '')) {
      await files.remove(tool);
    }
  }
  await files.remove(KILLALL);
  await files.remove(K3S_EXECUTABLE);
}
