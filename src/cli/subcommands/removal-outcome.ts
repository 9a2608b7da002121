/**
 * How `uninstall`, `install --undo` and `join --undo` report what they removed, or would remove.
 */

import { dirname } from 'node:path';
import { NODE_PASSWORD_FILE } from '../../core/k3s-places.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { UninstallPlan } from '../../machine/uninstall.ts';
import type { UnknownEntry } from '../../protocol/files/host-state.ts';
import type { CliContext } from '../definition/context.ts';
import { renderChanges, renderTable } from '../terminal/render.ts';

/** @returns for standard output */
export function renderRemovalPlan(
  { places }: Pick<CliContext, 'places'>,
  plan: UninstallPlan,
  options: { readonly json: boolean; readonly columns: number | undefined },
): string {
  if (options.json) {
    return `${JSON.stringify(plan, null, 2)}\n`;
  }
  return renderTable(plan.plan.map(rowOf), options.columns) + lines(remainsOf({ places }, plan));
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

function whyKept({ stateDirectory }: Places, file: string): string {
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

/** `mount /srv/data, quota 7`. */
export function namesOf(entries: readonly UnknownEntry[]): string {
  return entries.map(({ kind, name }) => `${kind} ${name}`).join(', ');
}

export function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
