/** Units of root beside the daemon's own: the helper behind its socket, the snapshots behind their timer. */
import helperService from '../../../systemd/pipeops-agent-helper@.service' with { type: 'text' };
import helperSocket from '../../../systemd/pipeops-agent-helper.socket' with { type: 'text' };
import snapshotsService from '../../../systemd/pipeops-agent-snapshots.service' with {
  type: 'text',
};
import snapshotsTimer from '../../../systemd/pipeops-agent-snapshots.timer' with { type: 'text' };
import {
  DEFAULT_PLACES,
  HELPER_SERVICE_UNIT,
  HELPER_SOCKET_UNIT,
  type Places,
  SNAPSHOTS_SERVICE_UNIT,
  SNAPSHOTS_TIMER_UNIT,
} from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { claimText, writeOwn } from '../engine/own-text.ts';
import { changeOf, removePath } from '../engine/removals.ts';
import { LEFT_AS_IT_IS, type Making, type Removal, type Resource } from '../engine/resource.ts';
import { forgetFailure, isActive, isEnabled, systemctl } from '../engine/systemctl.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

interface UnitText {
  /**
   * A service is noted as a file: an older version would try to stop it by its name, which systemd refuses
   * for a template.
   */
  readonly kind: 'file' | 'unit';
  readonly path: string;
  readonly text: string;
}

/** A unit that starts another one when there is something to do. */
interface StartingUnit {
  readonly id: string;
  readonly title: string;
  readonly texts: readonly UnitText[];
  /** The one that is enabled and started. */
  readonly starts: string;
  /** Those that it has started, as a pattern. */
  readonly started: string;
}

/** The socket by which the daemon asks for what needs root, and the service behind it. */
export function helperUnits(deps: Deps, inventory: HostInventory): Resource {
  const { helperSocketUnitFile, helperServiceUnitFile } = deps.places;
  return startingUnit(deps, inventory, true, {
    id: 'helper',
    title: 'Set up the helper for what needs root',
    texts: [
      { kind: 'file', path: helperServiceUnitFile, text: helperService },
      { kind: 'unit', path: helperSocketUnitFile, text: helperSocket },
    ],
    starts: HELPER_SOCKET_UNIT,
    started: HELPER_SERVICE_UNIT.replace('@', '@*'),
  });
}

/** The timer by which a server makes snapshots, and the service behind it. @param isServer only there */
export function snapshotUnits(deps: Deps, inventory: HostInventory, isServer: boolean): Resource {
  const { snapshotsTimerUnitFile, snapshotsServiceUnitFile } = deps.places;
  return startingUnit(deps, inventory, isServer, {
    id: 'snapshots',
    title: "Set up snapshots of the cluster's data",
    texts: [
      { kind: 'file', path: snapshotsServiceUnitFile, text: snapshotsService },
      { kind: 'unit', path: snapshotsTimerUnitFile, text: snapshotsTimer },
    ],
    starts: SNAPSHOTS_TIMER_UNIT,
    started: SNAPSHOTS_SERVICE_UNIT,
  });
}

function startingUnit(
  deps: Deps,
  inventory: HostInventory,
  isWanted: boolean,
  unit: StartingUnit,
): Resource {
  const { executableLink } = deps.places;
  const texts = unit.texts.map((each) => ({
    ...each,
    text: each.text.replaceAll(DEFAULT_PLACES.executableLink, executableLink),
  }));
  const whole = { ...unit, texts };
  return {
    id: unit.id,
    title: unit.title,
    touches: texts.map(({ path }) => path),
    entries: texts.map(({ kind, path }) => ({ kind, name: path })),
    ...(isWanted ? making(deps, inventory, whole) : LEFT_AS_IT_IS),
    undo: () => removals(deps, inventory, whole),
  };
}

function making(deps: Deps, inventory: HostInventory, { texts, starts }: StartingUnit): Making {
  const isWritten = async ({ path, text }: UnitText) => (await deps.files.readText(path)) === text;
  return {
    isWanted: true,
    isDone: async () =>
      (await Promise.all(texts.map(isWritten))).every(Boolean) &&
      (await isEnabled(deps, starts)) &&
      (await isActive(deps, starts)),
    apply: async () => {
      for (const { kind, path, text } of texts) {
        await claimText(deps, inventory, { kind, name: path }, () => false);
        await writeOwn(deps, path, text, { mode: 0o644 });
      }
      await systemctl(deps, 'daemon-reload');
      await systemctl(deps, 'enable', '--quiet', starts);
      await systemctl(deps, 'restart', starts);
    },
    changes: () =>
      Promise.all(texts.map(async (each) => changeOf(deps, each.path, await isWritten(each)))),
  };
}

async function removals(
  deps: Deps,
  inventory: HostInventory,
  unit: StartingUnit,
): Promise<readonly Removal[]> {
  const removed = await Promise.all(
    unit.texts.map(({ kind, path }) => removePath(deps, inventory, { kind, name: path })),
  );
  const [first, ...rest] = removed.flat();
  if (first === undefined) {
    return [];
  }
  const stopFirst: Removal = {
    ...first,
    changes: [{ action: 'stop', target: unit.starts }, ...first.changes],
    run: async () => {
      await stop(deps, unit);
      await first.run();
    },
  };
  return [stopFirst, ...rest];
}

async function stop(deps: Deps, { texts, starts, started }: StartingUnit): Promise<void> {
  const starting = texts.find(({ kind }) => kind === 'unit');
  if (starting !== undefined && (await deps.files.stat(starting.path)) !== undefined) {
    await systemctl(deps, 'disable', '--quiet', '--now', starts);
    await systemctl(deps, 'stop', started);
  }
  await forgetFailure(deps, started);
}
