/** What `doctor --fix` may do: each is a resource, so that `uninstall` takes it back. */

import { BOOT_LINE_ID, bootLine } from '../host/boot/kernel-arguments.ts';
import { FIX_BY_DOCTOR } from '../host/checks/check.ts';
import type { CheckResult } from '../host/checks/run.ts';
import { hasK3s } from '../host/cluster/adopted-k3s.ts';
import { applyResources, type PlannedStep, planResources } from '../host/engine/apply.ts';
import { type HostInventory, openInventory } from '../host/engine/inventory.ts';
import type { Resource } from '../host/engine/resource.ts';
import { beginInstallation } from '../host/engine/step-journal.ts';
import { firewallOpening } from '../host/firewall/opening.ts';
import type { FirewallRule } from '../host/firewall/rule.ts';
import { k3sCertificateRotation, ROTATION_ID } from '../host/k3s/certificates.ts';
import { DISK_CLEANING_ID, diskCleaning } from '../host/k3s/disk-cleaning.ts';
import { KERNEL_MODULES_ID, kernelModulesFile } from '../host/kernel/modules-file.ts';
import { KERNEL_SETTING_GROUPS } from '../host/kernel/settings.ts';
import { kernelSettingsFile } from '../host/kernel/settings-file.ts';
import { CHECKS } from './checks.ts';
import type { MachineContext } from './context.ts';
import type { Diagnosis } from './doctor.ts';

export interface Repairs {
  /** Of those that always do the same. */
  readonly ids: readonly string[];
  /** To be made in firewalls. */
  readonly rules: readonly FirewallRule[];
}

/** All of them. @param wanted those that shall be made now */
export function repairResources(
  context: Pick<MachineContext, 'clock' | 'env' | 'exec' | 'files' | 'places'>,
  inventory: HostInventory,
  { ids, rules }: Repairs,
): readonly Resource[] {
  return [
    kernelModulesFile(context, inventory, ids.includes(KERNEL_MODULES_ID)),
    ...KERNEL_SETTING_GROUPS.map((group) =>
      kernelSettingsFile(context, inventory, group, ids.includes(group.id)),
    ),
    bootLine(context, inventory, ids.includes(BOOT_LINE_ID)),
    diskCleaning(context, ids.includes(DISK_CLEANING_ID)),
    firewallOpening(context, inventory, rules),
    k3sCertificateRotation(
      context,
      hasK3s(inventory, 'agent') ? 'agent' : 'server',
      ids.includes(ROTATION_ID),
    ),
  ];
}

/** The repairs that mend what was found. */
export function repairsFor({ results }: Pick<Diagnosis, 'results'>): Repairs {
  const mends = (id: string) =>
    results.some(
      (each) =>
        each.id === id &&
        each.outcome.state === 'found' &&
        each.outcome.finding.fix === FIX_BY_DOCTOR,
    );
  const ids = CHECKS.flatMap(({ id, repair }) =>
    repair !== undefined && mends(id) ? [repair] : [],
  );
  return { ids, rules: rulesIn(results) };
}

/** The rules of firewalls that would mend what was found. */
export function rulesIn(results: readonly CheckResult[]): readonly FirewallRule[] {
  return results.flatMap(({ outcome }) =>
    outcome.state === 'found' ? (outcome.finding.rules ?? []) : [],
  );
}

/** What they would change. */
export async function planRepairs(
  context: MachineContext,
  wanted: Repairs,
): Promise<readonly PlannedStep[]> {
  const inventory = await openInventory(context);
  return await planResources(repairResources(context, inventory, wanted));
}

/** @throws AgentError what a repair throws */
export async function repair(context: MachineContext, wanted: Repairs): Promise<void> {
  const inventory = await openInventory(context);
  // On a bare machine it is the first thing of ours: a failed installation then takes it back, too.
  await beginInstallation(context, inventory);
  await applyResources(context, repairResources(context, inventory, wanted), context.signal);
}
