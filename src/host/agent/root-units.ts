/**
 * Units of root beside the daemon's own: the helper behind its socket, the snapshots behind their timer. They
 * are noted only as files, and start and stop with the daemon: releases before them stop no other unit when they
 * remove an installation. Their files are written here, and `root-units-started.ts` has systemd read and start them.
 */
import { basename } from 'node:path';
import {
  HELPER_SERVICE_UNIT,
  HELPER_SOCKET_UNIT,
  K3S_ASKED_SERVICE_UNIT,
  K3S_ASKED_TIMER_UNIT,
  K3S_UPGRADE_PATH_UNIT,
  K3S_UPGRADE_SERVICE_UNIT,
  type Places,
  SNAPSHOTS_SERVICE_UNIT,
  SNAPSHOTS_TIMER_UNIT,
  STARTED_WITH_AGENT_DIRECTORY,
} from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { claimText, writeOwn } from '../engine/own-text.ts';
import { changeOf, removePath, removeShared } from '../engine/removals.ts';
import { LEFT_AS_IT_IS, type Making, type Removal, type Resource } from '../engine/resource.ts';
import { forgetFailure, systemctl } from '../engine/systemctl.ts';
import { packagedUnit } from './packaged-unit.ts';
import { type UnitText, unitTextsFor } from './unit-texts.ts';

/** What they have started ends within 30 s (`TimeoutStopSec`), and is killed then. */
const STOP_TIMEOUT_MS = 60_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

const STARTED_WITH_AGENT = {
  kind: 'directory',
  name: STARTED_WITH_AGENT_DIRECTORY,
  isShared: true,
} as const;

/** A unit that starts another one when there is something to do, and that one. */
interface StartingUnit {
  readonly id: string;
  readonly title: string;
  readonly texts: readonly UnitText[];
  /** The one that is to be enabled and started. */
  readonly starts: string;
  /** Those that it has started, as a pattern. */
  readonly started: string;
}

/** The socket by which the daemon asks for what needs root, and the service behind it. */
export function helperUnits(deps: Deps, inventory: HostInventory): Resource {
  const { helperService, helperSocket } = unitTextsFor(deps.places);
  const units = startingUnit(deps, inventory, true, {
    id: 'helper',
    title: 'Set up the helper for what needs root',
    texts: [helperService, helperSocket],
    starts: HELPER_SOCKET_UNIT,
    started: HELPER_SERVICE_UNIT.replace('@', '@*'),
  });
  return {
    ...units,
    entries: [...units.entries, STARTED_WITH_AGENT],
    // These are the last to be removed of those that are linked there.
    undo: async (how) => [
      ...(await units.undo(how)),
      ...removeShared(deps, inventory, STARTED_WITH_AGENT.name),
    ],
  };
}

/** The timer by which a server makes snapshots, and the service behind it. @param isServer only there */
export function snapshotUnits(deps: Deps, inventory: HostInventory, isServer: boolean): Resource {
  const { snapshotsService, snapshotsTimer } = unitTextsFor(deps.places);
  return startingUnit(deps, inventory, isServer, {
    id: 'snapshots',
    title: "Set up snapshots of the cluster's data",
    texts: [snapshotsService, snapshotsTimer],
    starts: SNAPSHOTS_TIMER_UNIT,
    started: SNAPSHOTS_SERVICE_UNIT,
  });
}

/** What carries out an upgrade of k3s as soon as its record is there. @param isWanted not of a k3s that is not ours */
export function k3sUpgradeUnits(deps: Deps, inventory: HostInventory, isWanted: boolean): Resource {
  const { k3sUpgradePath, k3sUpgradeService } = unitTextsFor(deps.places);
  return startingUnit(deps, inventory, isWanted, {
    id: 'k3s-upgrade',
    title: 'Set up upgrades of k3s',
    texts: [k3sUpgradeService, k3sUpgradePath],
    starts: K3S_UPGRADE_PATH_UNIT,
    started: K3S_UPGRADE_SERVICE_UNIT,
  });
}

/** The look whether a server asks this node for another k3s. @param isWanted not of a k3s that is not ours */
export function k3sAskedUnits(deps: Deps, inventory: HostInventory, isWanted: boolean): Resource {
  const { k3sAskedService, k3sAskedTimer } = unitTextsFor(deps.places);
  return startingUnit(deps, inventory, isWanted, {
    id: 'k3s-asked',
    title: 'Set up upgrades of k3s that a server leads',
    texts: [k3sAskedService, k3sAskedTimer],
    starts: K3S_ASKED_TIMER_UNIT,
    started: K3S_ASKED_SERVICE_UNIT,
  });
}

function startingUnit(
  deps: Deps,
  inventory: HostInventory,
  isWanted: boolean,
  unit: StartingUnit,
): Resource {
  const { id, title, texts } = unit;
  const about = { id, title, touches: texts.map(({ path }) => path) };
  const starting = texts.find(({ path }) => basename(path) === unit.starts);
  if (deps.places.isPackaged && starting !== undefined) {
    const parts = { unitFile: starting.path, stop: () => stop(deps, unit) };
    const packaged = packagedUnit(deps, inventory, about, parts);
    return isWanted ? packaged : { ...packaged, ...LEFT_AS_IT_IS };
  }
  return {
    ...about,
    entries: texts.map(({ path }) => ({ kind: 'file', name: path })),
    ...(isWanted ? making(deps, inventory, unit) : LEFT_AS_IT_IS),
    undo: () => removals(deps, inventory, unit),
  };
}

function making(deps: Deps, inventory: HostInventory, { texts }: StartingUnit): Making {
  const isWritten = async ({ path, text }: UnitText) => (await deps.files.readText(path)) === text;
  return {
    isWanted: true,
    isDone: async () => (await Promise.all(texts.map(isWritten))).every(Boolean),
    apply: async () => {
      for (const { path, text } of texts) {
        // Earlier builds have noted it as a unit.
        const isOurs = () => inventory.has('unit', path);
        await claimText(deps, inventory, { kind: 'file', name: path }, isOurs);
        await writeOwn(deps, path, text, { mode: 0o644 });
      }
    },
    changes: () =>
      Promise.all(
        texts.map(async (each) => changeOf(deps, each.path, await isWritten(each), each.text)),
      ),
  };
}

async function removals(
  deps: Deps,
  inventory: HostInventory,
  unit: StartingUnit,
): Promise<readonly Removal[]> {
  const removed = await Promise.all(
    unit.texts.map(({ path }) => removePath(deps, inventory, { kind: 'file', name: path })),
  );
  const [first, ...rest] = removed.flat();
  if (first === undefined) {
    return [];
  }
  const stopFirst: Removal = {
    ...first,
    changes: [{ action: 'stop', target: unit.starts }, ...first.changes],
    commands: [
      ['systemctl', 'disable', '--quiet', '--now', unit.starts],
      ['systemctl', 'stop', unit.started],
    ],
    run: async () => {
      await stop(deps, unit);
      await first.run();
    },
  };
  return [stopFirst, ...rest];
}

async function stop(deps: Deps, { texts, starts, started }: StartingUnit): Promise<void> {
  const starting = texts.find(({ path }) => basename(path) === starts);
  if (starting !== undefined && (await deps.files.stat(starting.path)) !== undefined) {
    await systemctl(deps, 'disable', '--quiet', '--now', starts);
  }
  // It fails where none runs any more, whose file a run before this one has removed.
  await deps.exec.run(['systemctl', 'stop', started], { timeoutMs: STOP_TIMEOUT_MS });
  await forgetFailure(deps, started);
}
