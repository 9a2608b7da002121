/** `install --undo` and `join --undo`: a machine as it was before an installation that failed. */
import { openInventory } from '../../host/engine/inventory.ts';
import { checkUndo, planUninstall, UNDO, uninstall } from '../../machine/uninstall.ts';
import type { CliContext } from '../definition/context.ts';
import { lines, remainsOf, renderRemovalPlan } from './removal-outcome.ts';

export interface UndoFlags {
  readonly 'dry-run': boolean;
  readonly json: boolean;
}

/** @returns the exit code */
export async function runUndo(context: CliContext, flags: UndoFlags): Promise<number> {
  const inventory = await openInventory(context);
  await checkUndo(context, inventory);
  if (flags['dry-run']) {
    const plan = await planUninstall(context, inventory, UNDO);
    context.io.stdout(renderRemovalPlan(plan, { json: flags.json, columns: context.io.columns }));
    return 0;
  }
  const outcome = await uninstall(context, inventory, UNDO);
  if (flags.json) {
    context.io.stdout(`${JSON.stringify(outcome, null, 2)}\n`);
  } else {
    const done = 'Taken back: this machine is as it was before the installation.';
    context.io.stderr(lines([done, ...remainsOf(outcome)]));
  }
  return 0;
}
