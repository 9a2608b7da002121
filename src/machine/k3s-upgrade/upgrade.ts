/** `upgrade k3s`: another version of k3s on this machine. */
import { openInventory } from '../../host/engine/inventory.ts';
import { stageK3s } from '../../host/k3s/upgrade/programs.ts';
import { readK3sUpgrade } from '../../host/k3s/upgrade/record.ts';
import type { K3sUpgradeResult } from '../../protocol/files/k3s-upgrade.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { type Downloads, openDownloads, readCa } from '../outbound.ts';
import { beginK3sUpgrade, followK3sUpgrade, startK3sUpgrade } from './begin.ts';
import { nodeHere } from './here.ts';
import { type K3sUpgradePlan, planK3sUpgrade } from './plan.ts';

const ID_BYTES = 8;

export interface K3sUpgradeWishes {
  /** Undefined: that of the channel. */
  readonly to: string | undefined;
  readonly channel: string;
  readonly drain: boolean;
  /** Only say what would be done. */
  readonly dryRun: boolean;
}

export interface K3sUpgradeOutcome {
  readonly plan: K3sUpgradePlan;
  /** Undefined where nothing was to be done, or nothing was done. */
  readonly result: K3sUpgradeResult | undefined;
}

/**
 * An upgrade that is under way is followed to its end first: so a second run after an interruption goes on.
 * @throws AgentError NOT_INSTALLED, CLUSTER_EXISTS, VERSION_REFUSED, K3S_NOT_READY, SERVERS_NOT_READY, DOWNLOAD_FAILED,
 *   DOWNLOAD_CORRUPT, DISK_FULL, UPGRADE_FAILED, INTERRUPTED
 */
export async function upgradeK3s(
  context: MachineContext,
  wishes: K3sUpgradeWishes,
): Promise<K3sUpgradeOutcome> {
  const underWay = wishes.dryRun ? undefined : await readK3sUpgrade(context);
  if (underWay !== undefined) {
    await startK3sUpgrade(context);
    await followK3sUpgrade(context, underWay.id, underWay);
  }
  const { config } = await loadEffectiveConfig(context, {});
  const downloads = await openDownloads(context, config, await readCa(context, config));
  try {
    const to = wishes.to ?? (await downloads.origin.newestVersion(context.signal, wishes.channel));
    const here = await nodeHere(context, await openInventory(context));
    const plan = await planK3sUpgrade(context, here, { to, drain: wishes.drain });
    if (wishes.dryRun || plan.steps.length === 0) {
      return { plan, result: undefined };
    }
    // Here and not in the unit, so that a proxy in the environment counts: the unit finds it done.
    await fetchBeside(context, downloads, to);
    const id = Buffer.from(context.random.bytes(ID_BYTES)).toString('hex');
    await beginK3sUpgrade(context, id, plan);
    await startK3sUpgrade(context);
    return { plan, result: await followK3sUpgrade(context, id, plan) };
  } finally {
    downloads.close();
  }
}

async function fetchBeside(
  context: MachineContext,
  { origin }: Downloads,
  to: string,
): Promise<void> {
  const progress = await context.progress(`Fetch k3s ${to}`);
  try {
    await stageK3s(context, origin, to, progress.update, context.signal);
    progress.done();
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
