/**
 * How `uninstall`, `leave`, `install --undo` and `join --undo` report what they removed, or would remove.
 */

import { dirname } from 'node:path';
import { NODE_PASSWORD_FILE } from '../../core/k3s-places.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { UndoOptions } from '../../host/engine/resource.ts';
import type { Farewell } from '../../machine/farewell.ts';
import type { FoundVolume, UninstallPlan } from '../../machine/uninstall.ts';
import type { WaysOut } from '../../machine/way-out.ts';
import type { UnknownEntry } from '../../protocol/files/host-state.ts';
import type { CliContext } from '../definition/context.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderChanges, renderDetails, renderTable } from '../terminal/render.ts';

/** @returns for standard output */
export function renderRemovalPlan(
  { places }: Pick<CliContext, 'places'>,
  plan: UninstallPlan & { readonly volumes: readonly FoundVolume[] },
  options: { readonly json: boolean; readonly columns: number | undefined },
): string {
  if (options.json) {
    return jsonDocument<'uninstall'>(plan);
  }
  const volumes = plan.volumes.map(
    (volume) => `Data of a volume: ${describeVolume(volume)}. It stays, but for --delete-data`,
  );
  return (
    renderTable(plan.plan.map(rowOf), options.columns) +
    lines([...volumes, ...remainsOf({ places }, plan)]) +
    renderDetails(plan.plan)
  );
}

/** The title, and the changes that it does not name itself. */
function rowOf({ title, changes }: UninstallPlan['plan'][number]): readonly string[] {
  const more = changes.filter(({ target }) => !title.endsWith(target));
  return more.length === 0 ? [title] : [title, renderChanges(more)];
}

/** One line for each thing that stays, and how to remove it as well. */
export function remainsOf(
  { places }: Pick<CliContext, 'places'>,
  { kept, left }: Pick<UninstallPlan, 'kept' | 'left'>,
): readonly string[] {
  return [
    ...kept.map((file) => whyKept(places, file)),
    ...(left.length === 0
      ? []
      : [
          `Left: ${namesOf(left)}, which only another version of pipeops-agent can remove. ` +
            'To remove it too: install that version, and uninstall with it',
        ]),
  ];
}

function whyKept({ stateDirectory, snapshotsDirectory }: Places, file: string): string {
  if (file === snapshotsDirectory) {
    return (
      `Kept: ${file}, snapshots of the cluster and the key that opens them. ` +
      `To remove them too: sudo rm -r ${file}`
    );
  }
  if (file === NODE_PASSWORD_FILE) {
    return (
      `Kept: ${file}, by which the cluster knows this machine when it comes back. ` +
      `To remove it too: sudo rm -r ${dirname(file)}`
    );
  }
  return file.startsWith(`${stateDirectory}/`)
    ? `Kept: ${file}, which only the user ${AGENT_USER} may remove, who is gone. ` +
        `Look at what stands there: sudo ls -lR ${stateDirectory}`
    : `Kept: ${file}, which was here before the installation and was changed since`;
}

/** What becomes of the data of applications, before anybody is asked. */
export function volumeLines(
  volumes: readonly FoundVolume[],
  { deleteData }: UndoOptions,
): readonly string[] {
  return volumes.map((volume) =>
    deleteData
      ? `Data that is deleted: ${describeVolume(volume)}`
      : `Data that is kept: ${describeVolume(volume)}. To delete it too: --delete-data, or sudo rm -r ${volume.path}`,
  );
}

/** The same at `leave`, which never deletes any. */
export function keptVolumeLines(volumes: readonly FoundVolume[]): readonly string[] {
  return volumes.map(
    (volume) =>
      `Data that is kept on this machine: ${describeVolume(volume)}. To delete it afterwards: sudo rm -r ${volume.path}`,
  );
}

function describeVolume({ path, claim, bytes }: FoundVolume): string {
  const size = bytes === null ? 'of unknown size' : sizeText(bytes);
  return claim === null ? `${path} (${size})` : `${claim}, ${size}, in ${path}`;
}

/** `12 KiB`, `3.4 GiB`. */
function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** Before anybody is asked: that the control plane would not hear of it. */
export function untoldLines(farewell: Farewell | null): readonly string[] {
  return farewell === null || farewell.told
    ? []
    : [
        `There is no session with ${farewell.control_plane}: it would not hear that this agent is gone. ` +
          'To wait for it: --wait-control-plane 10m',
      ];
}

/** Afterwards: what is left to do there, since nothing stays here that could tell it later. */
export function untoldAtEnd(farewell: Farewell | null): readonly string[] {
  if (farewell === null || farewell.told) {
    return [];
  }
  const { agent_id, cluster_name, control_plane } = farewell;
  const names = [
    ...(cluster_name === null ? [] : [`cluster "${cluster_name}"`]),
    ...(agent_id === null ? [] : [`agent ${agent_id}`]),
  ];
  return [
    `${control_plane} was not told, and shows it as down from now on. Remove it there: ${names.join(', ')}`,
  ];
}

/** Whether the machine still gets out: what k3s leaves behind must not cost it that. */
export function wayOutLines({ before, after }: WaysOut): readonly string[] {
  const lost = [
    ...(before.default_route !== null && after.default_route === null
      ? [
          `The default route is gone, which led through ${before.default_route} before. ` +
            'Look at: ip route; journalctl -b -u systemd-networkd -u NetworkManager',
        ]
      : []),
    ...(before.names === true && after.names !== true
      ? [`Names are not answered any more (${after.asked}). Look at: cat /etc/resolv.conf`]
      : []),
  ];
  if (lost.length > 0) {
    return lost;
  }
  const route =
    after.default_route === null
      ? 'no default route'
      : `default route through ${after.default_route}`;
  const names =
    after.names === null
      ? 'names were not asked for'
      : `names are ${after.names ? '' : 'not '}answered`;
  return [`The network is as before: ${route}, ${names}.`];
}

/** `mount /srv/data, quota 7`. */
export function namesOf(entries: readonly UnknownEntry[]): string {
  return entries.map(({ kind, name }) => `${kind} ${name}`).join(', ');
}

export function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
