/**
 * A writable layer over a /usr/local that is read-only, as on systems whose /usr is an image: programs of
 * ours and of k3s stand where everybody looks for them, and the system stays as it was delivered.
 */

import type { Places } from '../../core/places.ts';
import { USR_LOCAL, USR_LOCAL_LAYER, USR_LOCAL_UNIT_FILE } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { claimPath } from '../engine/originals.ts';
import { changeOf } from '../engine/removals.ts';
import { LEFT_AS_IT_IS, type Making, type Removal, type Resource } from '../engine/resource.ts';
import { DAEMON_RELOAD, isActive, isEnabled, systemctl } from '../engine/systemctl.ts';

const UNIT = 'usr-local.mount';
const UPPER = `${USR_LOCAL_LAYER}/upper`;
const WORK = `${USR_LOCAL_LAYER}/work`;
const UNIT_TEXT = `# Made by pipeops-agent. "pipeops-agent uninstall" removes it.
[Unit]
Description=Writable layer over ${USR_LOCAL}, for pipeops-agent and k3s
RequiresMountsFor=${USR_LOCAL_LAYER}

[Mount]
What=overlay
Where=${USR_LOCAL}
Type=overlay
Options=lowerdir=${USR_LOCAL},upperdir=${UPPER},workdir=${WORK}

[Install]
WantedBy=local-fs.target
`;
/** As deep as a tree of others is looked into, for whether it has files. */
const DEPTH_MAX = 16;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** @param isWanted /usr/local is read-only */
export function usrLocalLayer(deps: Deps, inventory: HostInventory, isWanted: boolean): Resource {
  const unit = { kind: 'unit', name: USR_LOCAL_UNIT_FILE } as const;
  const directory = { kind: 'directory', name: USR_LOCAL_LAYER } as const;
  const isDone = async () =>
    (await deps.files.readText(unit.name)) === UNIT_TEXT &&
    (await isEnabled(deps, UNIT)) &&
    (await isActive(deps, UNIT));
  const making: Making = {
    isWanted: true,
    isDone,
    apply: async () => {
      await claimPath(deps, inventory, directory);
      await claimPath(deps, inventory, unit);
      for (const path of [USR_LOCAL_LAYER, UPPER, WORK]) {
        await deps.files.claimDirectory(path, { mode: 0o755 });
      }
      await deps.files.writeAtomic(unit.name, UNIT_TEXT, { mode: 0o644 });
      await systemctl(deps, 'daemon-reload');
      await systemctl(deps, 'enable', UNIT);
      await systemctl(deps, 'start', UNIT);
    },
    changes: async () => [await changeOf(deps, unit.name, await isDone(), UNIT_TEXT)],
    commands: async () => [
      DAEMON_RELOAD,
      ['systemctl', 'enable', UNIT],
      ['systemctl', 'start', UNIT],
    ],
  };
  return {
    id: 'usr-local-layer',
    title: `Lay something writable over ${USR_LOCAL}`,
    touches: [unit.name, USR_LOCAL_LAYER],
    entries: [unit, directory],
    ...(isWanted ? making : LEFT_AS_IT_IS),
    // k3s' program stands in it.
    undo: async ({ keepK3s }) =>
      keepK3s || !inventory.has(unit.kind, unit.name) ? [] : [removal(deps, [unit, directory])],
  };
}

function removal(deps: Deps, entries: Removal['entries']): Removal {
  return {
    title: `Take the writable layer off ${USR_LOCAL}`,
    changes: [
      { action: 'stop', target: UNIT },
      { action: 'remove', target: USR_LOCAL_UNIT_FILE },
      { action: 'remove', target: USR_LOCAL_LAYER },
    ],
    commands: [['systemctl', 'disable', '--now', UNIT], DAEMON_RELOAD],
    entries,
    run: async () => {
      if (await hasFiles(deps.files, UPPER, 0)) {
        return; // Of others, who have put them there since: they stay where they are seen.
      }
      if ((await deps.files.stat(USR_LOCAL_UNIT_FILE)) !== undefined) {
        await systemctl(deps, 'disable', '--now', UNIT);
        await deps.files.remove(USR_LOCAL_UNIT_FILE);
        await systemctl(deps, 'daemon-reload');
      }
      await deps.files.removeTree(USR_LOCAL_LAYER);
    },
  };
}

async function hasFiles(files: Files, path: string, depth: number): Promise<boolean> {
  for (const name of await files.list(path)) {
    const below = `${path}/${name}`;
    const isDirectory = (await files.stat(below))?.kind === 'directory';
    if (!isDirectory || depth === DEPTH_MAX || (await hasFiles(files, below, depth + 1))) {
      return true;
    }
  }
  return false;
}
