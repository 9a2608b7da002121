/** `prepare-image`: a machine from which an image is made, so that each copy gets an identity of its own. */
import { AgentError } from '../core/errors.ts';
import { BUILD } from '../core/version.ts';
import { placeExecutable } from '../host/agent/executable.ts';
import { usrLocalLayer } from '../host/agent/usr-local-layer.ts';
import { ADOPTED } from '../host/cluster/adopted-k3s.ts';
import {
  applyResources,
  type FinishedStep,
  type PlannedStep,
  planResources,
} from '../host/engine/apply.ts';
import { type HostInventory, openInventory } from '../host/engine/inventory.ts';
import type { UndoOptions } from '../host/engine/resource.ts';
import { readUsrLocal } from '../host/facts/usr-local.ts';
import { preparedK3s } from '../host/k3s/prepared.ts';
import { installedK3sVersion } from '../host/k3s/program.ts';
import { hasForeignK3s } from './adopt.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig } from './effective-config.ts';
import { openDownloads, readCa } from './outbound.ts';
import { refuseOtherInstallation } from './packaged.ts';
import { part, type Report } from './reported-steps.ts';
import { planUninstall, uninstall } from './uninstall.ts';

/** Of the whole, for who watches: what was here is removed, and then the rest is placed. */
const HALF = 0.5;

export interface ImageWishes {
  readonly flags: ConfigFlags;
  readonly dryRun: boolean;
  readonly report: Report;
  /** Asked before anything that was set up here is removed, with its data. */
  readonly mayRemove: (titles: readonly string[]) => Promise<boolean>;
}

/** The promise behind `prepare-image --json`. */
export interface PreparedImage {
  readonly agent: string;
  readonly k3s: string | null;
  /** What was removed before: identity, tokens, certificates, the cluster. */
  readonly removed: readonly string[];
  readonly steps: readonly FinishedStep[] | readonly PlannedStep[];
}

/** Everything that belongs to one machine goes, the node password and data too. */
const ALL: UndoOptions = { keepK3s: false, keepData: false, deleteData: true, isUnfinished: false };

/** @throws AgentError CLUSTER_EXISTS, USAGE where nobody confirms it, DOWNLOAD_FAILED, … */
export async function prepareImage(
  context: MachineContext,
  wishes: ImageWishes,
): Promise<PreparedImage> {
  await refuseOtherInstallation(context);
  const { config } = await loadEffectiveConfig(context, wishes.flags);
  const before = await openInventory(context);
  const removed = await removeIdentity(context, before, wishes);
  const inventory = await openInventory(context);
  const downloads = await openDownloads(context, config, await readCa(context, config));
  const { version } = config.k3s;
  const resources = [
    usrLocalLayer(context, inventory, (await readUsrLocal(context)) === 'layer'),
    placeExecutable(context, inventory, {
      version: BUILD.version,
      runningFrom: context.execPath,
      signed: undefined,
    }),
    preparedK3s(context, inventory, { version, origin: downloads.origin }, context.signal),
  ];
  try {
    const steps = wishes.dryRun
      ? await planResources(resources)
      : await applyResources(
          { ...context, report: part(wishes.report, HALF, 1) },
          resources,
          context.signal,
        );
    const k3s = (await installedK3sVersion(context)) ?? null;
    return { agent: BUILD.version, k3s, removed, steps };
  } finally {
    downloads.close();
  }
}

async function removeIdentity(
  context: MachineContext,
  inventory: HostInventory,
  { dryRun, mayRemove, report }: ImageWishes,
): Promise<readonly string[]> {
  if (inventory.has(ADOPTED.kind, ADOPTED.name) || (await hasForeignK3s(context, inventory))) {
    throw new AgentError('CLUSTER_EXISTS', 'There is a k3s of somebody else on this machine', {
      hint: 'Make the image of a machine without it, or remove it first: k3s-uninstall.sh',
    });
  }
  const { unitFile } = context.places;
  const isSetUp = inventory
    .entries()
    .some(({ kind, name }) => kind === 'k3s' || (kind === 'unit' && name === unitFile));
  if (!isSetUp) {
    return [];
  }
  const { plan } = await planUninstall(context, inventory, ALL);
  const titles = plan.map(({ title }) => title);
  if (dryRun) {
    return titles;
  }
  if (!(await mayRemove(titles))) {
    throw new AgentError('USAGE', 'Nothing was removed: it was not confirmed', {
      hint: 'Answer y, or give --yes',
    });
  }
  return (await uninstall(context, inventory, ALL, part(report, 0, HALF))).removed;
}
