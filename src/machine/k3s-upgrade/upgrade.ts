/** `upgrade k3s`: another version of k3s on this machine, or on all nodes of its cluster. */
import { openInventory } from '../../host/engine/inventory.ts';
import { stageK3s } from '../../host/k3s/upgrade/programs.ts';
import { readK3sUpgrade } from '../../host/k3s/upgrade/record.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { type Downloads, openDownloads, readCa } from '../outbound.ts';
import { beginK3sUpgrade, followK3sUpgrade, startK3sUpgrade } from './begin.ts';
import { type NodeHere, nodeHere, othersThan } from './here.ts';
import { nodesToUpgrade, requireAllUpgradable, upgradeOther } from './lead.ts';
import { type K3sUpgradePlan, planK3sUpgrade } from './plan.ts';

const ID_BYTES = 8;

export interface K3sUpgradeWishes {
  /** Undefined: that of the channel. */
  readonly to: string | undefined;
  readonly channel: string;
  readonly drain: boolean;
  /** Not the other nodes of the cluster. */
  readonly isThisNodeOnly: boolean;
  /** Only say what would be done. */
  readonly dryRun: boolean;
}

/** What `upgrade k3s` did, or would do. */
export interface K3sUpgradeOutcome {
  readonly to: string;
  /** In their order; those that run this version already are not among them. */
  readonly nodes: readonly {
    readonly node: string;
    readonly role: 'server' | 'worker';
    readonly from: string;
    /** Null where it was not done. */
    readonly took_ms: number | null;
  }[];
  /** On this machine, where it is among them and was not done, for people. */
  readonly steps: readonly string[];
}

/**
 * An upgrade of this machine that is under way is followed to its end first: so a second run after an interruption
 * goes on.
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
    return await upgradeTo(context, downloads, { ...wishes, to });
  } finally {
    downloads.close();
  }
}

async function upgradeTo(
  context: MachineContext,
  downloads: Downloads,
  wishes: K3sUpgradeWishes & { readonly to: string },
): Promise<K3sUpgradeOutcome> {
  const { to, dryRun } = wishes;
  const here = await nodeHere(context, await openInventory(context));
  const others = await othersToo(context, here, wishes);
  const plan = await planK3sUpgrade(context, here, wishes);
  const own = { name: here.node, version: here.version, isServer: here.role === 'server' };
  const nodes: K3sUpgradeOutcome['nodes'][number][] = [];
  for (const each of [...(plan.steps.length === 0 ? [] : [own]), ...others]) {
    const startedAt = context.clock.monotonic();
    if (!dryRun) {
      await (each === own
        ? upgradeHere(context, downloads, plan)
        : upgradeOther(context, here, each.name, wishes));
    }
    nodes.push({
      node: each.name,
      role: each.isServer ? 'server' : 'worker',
      from: each.version,
      took_ms: dryRun ? null : Math.round(context.clock.monotonic() - startedAt),
    });
  }
  return { to, nodes, steps: dryRun ? plan.steps : [] };
}

/** The other nodes that are to have it, all of which may. */
async function othersToo(
  context: MachineContext,
  here: NodeHere,
  { to, isThisNodeOnly }: Pick<K3sUpgradeWishes, 'isThisNodeOnly'> & { readonly to: string },
) {
  if (isThisNodeOnly || here.role === 'agent') {
    return [];
  }
  const nodes = await nodesToUpgrade(context, here, to);
  const current = (await othersThan(context, here)).filter(({ version }) => version === to);
  requireAllUpgradable(nodes, current, to);
  return nodes.filter(({ name }) => name !== here.node);
}

async function upgradeHere(
  context: MachineContext,
  downloads: Downloads,
  plan: K3sUpgradePlan,
): Promise<void> {
  // Here and not in the unit, so that a proxy in the environment counts: the unit finds it done.
  await fetchBeside(context, downloads, plan.to);
  const id = Buffer.from(context.random.bytes(ID_BYTES)).toString('hex');
  await beginK3sUpgrade(context, id, plan);
  await startK3sUpgrade(context);
  await followK3sUpgrade(context, id, plan);
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
