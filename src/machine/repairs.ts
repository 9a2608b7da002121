/** What `doctor --fix` may do: each is a resource, so that `uninstall` takes it back. */
import { FIX_BY_DOCTOR } from '../host/checks/check.ts';
import { applyResources, type PlannedStep, planResources } from '../host/engine/apply.ts';
import { type HostInventory, openInventory } from '../host/engine/inventory.ts';
import type { Resource } from '../host/engine/resource.ts';
import { beginInstallation } from '../host/engine/step-journal.ts';
import { KERNEL_MODULES_ID, kernelModulesFile } from '../host/kernel/modules-file.ts';
import { KERNEL_SETTING_GROUPS } from '../host/kernel/settings.ts';
import { kernelSettingsFile } from '../host/kernel/settings-file.ts';
import { CHECKS } from './checks.ts';
import type { MachineContext } from './context.ts';
import type { Diagnosis } from './doctor.ts';

/** All of them. @param wanted ids of those that shall be made now */
export function repairResources(
  context: Pick<MachineContext, 'exec' | 'files' | 'places'>,
  inventory: HostInventory,
  wanted: readonly string[],
): readonly Resource[] {
  return [
    kernelModulesFile(context, inventory, wanted.includes(KERNEL_MODULES_ID)),
    ...KERNEL_SETTING_GROUPS.map((group) =>
      kernelSettingsFile(context, inventory, group, wanted.includes(group.id)),
    ),
  ];
}

/** Ids of the repairs that mend what was found. */
export function repairsFor({ results }: Pick<Diagnosis, 'results'>): readonly string[] {
  const mends = (id: string) =>
    results.some(
      (each) =>
        each.id === id &&
        each.outcome.state === 'found' &&
        each.outcome.finding.fix === FIX_BY_DOCTOR,
    );
  return CHECKS.flatMap(({ id, repair }) => (repair !== undefined && mends(id) ? [repair] : []));
}

/** What they would change. */
export async function planRepairs(
  context: MachineContext,
  wanted: readonly string[],
): Promise<readonly PlannedStep[]> {
  const inventory = await openInventory(context);
  return await planResources(repairResources(context, inventory, wanted));
}

/** @throws AgentError what a repair throws */
export async function repair(context: MachineContext, wanted: readonly string[]): Promise<void> {
  const inventory = await openInventory(context);
  // On a bare machine it is the first thing of ours: a failed installation then takes it back, too.
  await beginInstallation(context, inventory);
  await applyResources(context, repairResources(context, inventory, wanted), context.signal);
}
