/**
 * One step for all units that were written: systemd reads every unit of the machine each time it is told to read
 * one, and that takes longer than all the rest of it.
 */
import { basename } from 'node:path';
import {
  K3S_ASKED_SERVICE_UNIT,
  K3S_UPGRADE_SERVICE_UNIT,
  type Places,
  SNAPSHOTS_SERVICE_UNIT,
  STARTED_WITH_AGENT_DIRECTORY,
  UNIT_NAME,
} from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { recordMissing } from '../engine/originals.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { isActive, isEnabled, needReload, systemctl } from '../engine/systemctl.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** Which of the units are there, beside the helper's. */
export interface WantedRootUnits {
  readonly snapshots: boolean;
  readonly k3sUpgrades: boolean;
}

/** Has systemd read what was written, the daemon's unit too, and starts all but that one. */
export function rootUnitsStarted(
  deps: Deps,
  inventory: HostInventory,
  { snapshots, k3sUpgrades }: WantedRootUnits,
): Resource {
  const { places } = deps;
  const files = [
    places.helperSocketUnitFile,
    ...(snapshots ? [places.snapshotsTimerUnitFile] : []),
    ...(k3sUpgrades ? [places.k3sUpgradePathUnitFile, places.k3sAskedTimerUnitFile] : []),
  ];
  const units = files.map((file) => basename(file));
  // systemd holds them because those that start them name them; of a template it reads each instance anew.
  const held = [
    UNIT_NAME,
    ...(snapshots ? [SNAPSHOTS_SERVICE_UNIT] : []),
    ...(k3sUpgrades ? [K3S_UPGRADE_SERVICE_UNIT, K3S_ASKED_SERVICE_UNIT] : []),
  ];
  const toStart = async () => {
    const isRight = await Promise.all(files.map((file) => isStartedAsWritten(deps, file)));
    return units.filter((_, index) => isRight[index] !== true);
  };
  return {
    id: 'root-units',
    title: 'Start the units beside the agent',
    touches: [`systemctl reenable, restart ${units.join(' ')}`],
    ...LEAVES_NOTHING, // Each is stopped with its files.
    isWanted: true,
    isDone: async () => (await toStart()).length === 0 && !(await needReload(deps, held)),
    apply: async () => {
      const due = await toStart();
      if (due.length > 0) {
        await recordMissing(deps, inventory, {
          kind: 'directory',
          name: STARTED_WITH_AGENT_DIRECTORY,
        });
      }
      for (const [, verb, ...words] of commandsFor(due)) {
        await systemctl(deps, verb, ...words);
      }
    },
    changes: async () => {
      const due = await toStart();
      return units.map((target) => ({ action: due.includes(target) ? 'start' : 'keep', target }));
    },
    commands: async () => commandsFor(await toStart()),
  };
}

/** What an earlier build has linked elsewhere has another text now. */
async function isStartedAsWritten(deps: Deps, file: string): Promise<boolean> {
  const unit = basename(file);
  return (
    (await deps.files.stat(file)) !== undefined &&
    (await isEnabled(deps, unit)) &&
    (await isActive(deps, unit)) &&
    !(await needReload(deps, [unit]))
  );
}

type SystemctlCommand = readonly ['systemctl', string, ...string[]];

/** "reenable" also has systemd read all units again (systemctl(1)). */
function commandsFor(units: readonly string[]): readonly SystemctlCommand[] {
  return units.length === 0
    ? [['systemctl', 'daemon-reload']]
    : [
        ['systemctl', 'reenable', '--quiet', ...units],
        ['systemctl', 'restart', ...units],
      ];
}
