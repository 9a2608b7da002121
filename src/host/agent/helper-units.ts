import serviceText from '../../../systemd/pipeops-agent-helper@.service' with { type: 'text' };
import socketText from '../../../systemd/pipeops-agent-helper.socket' with { type: 'text' };
import {
  DEFAULT_PLACES,
  HELPER_SERVICE_UNIT,
  HELPER_SOCKET_UNIT,
  type Places,
} from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { claimText, writeOwn } from '../engine/own-text.ts';
import { changeOf, removePath } from '../engine/removals.ts';
import type { Removal, Resource } from '../engine/resource.ts';
import { forgetFailure, isActive, isEnabled, systemctl } from '../engine/systemctl.ts';

/** Every process of the helper that runs now. */
const INSTANCES = HELPER_SERVICE_UNIT.replace('@', '@*');

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

interface UnitText {
  /** The template is noted as a file: an older version would try to stop it, which systemd refuses. */
  readonly kind: 'file' | 'unit';
  readonly path: string;
  readonly text: string;
}

/** The socket by which the daemon asks for what needs root, and the service behind it. */
export function helperUnits(deps: Deps, inventory: HostInventory): Resource {
  const { helperSocketUnitFile, helperServiceUnitFile, executableLink } = deps.places;
  const program = (text: string) => text.replaceAll(DEFAULT_PLACES.executableLink, executableLink);
  const units: readonly UnitText[] = [
    { kind: 'file', path: helperServiceUnitFile, text: program(serviceText) },
    { kind: 'unit', path: helperSocketUnitFile, text: socketText },
  ];
  const isWritten = async ({ path, text }: UnitText) => (await deps.files.readText(path)) === text;
  const areWritten = async () => (await Promise.all(units.map(isWritten))).every(Boolean);
  const isDone = async () =>
    (await areWritten()) &&
    (await isEnabled(deps, HELPER_SOCKET_UNIT)) &&
    (await isActive(deps, HELPER_SOCKET_UNIT));
  return {
    id: 'helper',
    title: 'Set up the helper for what needs root',
    touches: units.map(({ path }) => path),
    entries: units.map(({ kind, path }) => ({ kind, name: path })),
    isWanted: true,
    isDone,
    apply: async () => {
      for (const { kind, path, text } of units) {
        await claimText(deps, inventory, { kind, name: path }, () => false);
        await writeOwn(deps, path, text, { mode: 0o644 });
      }
      await systemctl(deps, 'daemon-reload');
      await systemctl(deps, 'enable', '--quiet', HELPER_SOCKET_UNIT);
      await systemctl(deps, 'restart', HELPER_SOCKET_UNIT);
    },
    changes: () =>
      Promise.all(units.map(async (unit) => changeOf(deps, unit.path, await isWritten(unit)))),
    undo: () => removals(deps, inventory, units),
  };
}

async function removals(
  deps: Deps,
  inventory: HostInventory,
  units: readonly UnitText[],
): Promise<readonly Removal[]> {
  const removed = await Promise.all(
    units.map(({ kind, path }) => removePath(deps, inventory, { kind, name: path })),
  );
  const [first, ...rest] = removed.flat();
  if (first === undefined) {
    return [];
  }
  const stopFirst: Removal = {
    ...first,
    changes: [{ action: 'stop', target: HELPER_SOCKET_UNIT }, ...first.changes],
    run: async () => {
      await stop(deps);
      await first.run();
    },
  };
  return [stopFirst, ...rest];
}

async function stop(deps: Deps): Promise<void> {
  if ((await deps.files.stat(deps.places.helperSocketUnitFile)) !== undefined) {
    await systemctl(deps, 'disable', '--quiet', '--now', HELPER_SOCKET_UNIT);
  }
  await systemctl(deps, 'stop', INSTANCES);
  await forgetFailure(deps, INSTANCES);
}
