/** The removal of an installation, by whatever name it was asked for: told, confirmed, done. */
import { nodeNameOf } from '../../config/node-settings.ts';
import { AgentError } from '../../core/errors.ts';
import { NODE_PASSWORD_FILE } from '../../core/k3s-places.ts';
import { ADOPTED, hasK3s } from '../../host/cluster/adopted-k3s.ts';
import { readJoined } from '../../host/cluster/joined-worker.ts';
import type { HostInventory } from '../../host/engine/inventory.ts';
import type { UndoOptions } from '../../host/engine/resource.ts';
import { awaitFarewell, handOver, lookAtFarewell } from '../../machine/farewell.ts';
import { hasLeft } from '../../machine/leave/has-left.ts';
import { packageLines } from '../../machine/packaged.ts';
import type { Report } from '../../machine/reported-steps.ts';
import { planUninstall, uninstall, volumesAtStake } from '../../machine/uninstall.ts';
import { lookingAtWayOut } from '../../machine/way-out.ts';
import type { CliContext } from '../definition/context.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import {
  lines,
  remainsOf,
  renderRemovalPlan,
  untoldAtEnd,
  untoldLines,
  volumeLines,
  wayOutLines,
} from './removal-outcome.ts';

export interface RemovalFlags {
  readonly 'dry-run': boolean;
  readonly json: boolean;
  readonly yes: boolean;
  /** Hears of each step. */
  readonly report?: Report;
  /** How long a control plane that does not answer is waited for. */
  readonly waitMs?: number;
}

const LOST_TO_ETCD =
  'The other servers go on, and keep the place of this one in etcd, as of a server that is lost. ' +
  'To give it up: sudo pipeops-agent leave, instead of this';

/**
 * Removes everything in the inventory, after a question; or only reports it.
 * @returns the exit code
 * @throws AgentError USAGE where nobody confirms it
 */
export async function removeAll(
  context: CliContext,
  inventory: HostInventory,
  asked: UndoOptions,
  { json, yes, 'dry-run': dryRun, report, waitMs = 0 }: RemovalFlags,
): Promise<number> {
  // A `leave` that was ended after the cluster had let the node go is finished by this as well.
  const isOut = await hasLeft(context);
  const how = { ...asked, isForgotten: isOut };
  if (dryRun) {
    const plan = await planUninstall(context, inventory, how);
    const volumes = await volumesAtStake(context, inventory, how);
    context.io.stdout(
      renderRemovalPlan(context, { ...plan, volumes }, { json, columns: context.io.columns }),
    );
    return 0;
  }
  const { isAdopted, staysK3s, isOneOfServers, workers } = await standingOf(
    context,
    inventory,
    how,
  );
  if (isOneOfServers && !isOut && !staysK3s && !how.isUnfinished) {
    context.io.stderr(`${LOST_TO_ETCD}\n`);
  }
  if (workers.length > 0) {
    context.io.stderr(`These workers hang on this server: ${workers.join(', ')}\n`);
  }
  const volumes = await volumesAtStake(context, inventory, how);
  // The other servers have the session, or take it. An installation that never came to its end had none.
  const seen = isOneOfServers || how.isUnfinished ? null : await lookAtFarewell(context, inventory);
  context.io.stderr(lines([...volumeLines(volumes, how), ...untoldLines(seen)]));
  if (!yes) {
    await confirm(context, staysK3s);
  }
  const farewell = seen && (await awaitFarewell(context, seen, waitMs));
  // Read first: the settings are about to be removed.
  const name =
    inventory.has('k3s', 'agent') || isOneOfServers ? await nodeName(context) : undefined;
  if (isOneOfServers) {
    await handOver(context);
  }
  const { result, network } = await lookingAtWayOut(context, () =>
    uninstall(context, inventory, how, report),
  );
  const { removed, kept, left } = result;
  // A worker that began to join is listed once it has a password that is worth keeping.
  const isListed = !isOut && (!how.isUnfinished || kept.includes(NODE_PASSWORD_FILE));
  const node = isListed ? name : undefined;
  if (json) {
    const listed = node ?? null;
    const told = { volumes, workers, listed_node: listed, network, control_plane: farewell };
    const document = { removed, kept, left, ...told };
    context.io.stdout(jsonDocument<'uninstall'>(document));
  } else {
    const remains = remainsOf(context, { kept, left });
    context.io.stderr(lines(lastWord({ how, isAdopted, remains, workers, node })));
    context.io.stderr(lines(await packageLines(context)));
    context.io.stderr(lines(untoldAtEnd(farewell)));
    context.io.stderr(lines(wayOutLines(network)));
  }
  return 0;
}

/** What this machine is to its cluster. */
async function standingOf(
  context: CliContext,
  inventory: HostInventory,
  { keepK3s }: Pick<UndoOptions, 'keepK3s'>,
) {
  const isAdopted = inventory.has(ADOPTED.kind, ADOPTED.name);
  const staysK3s = keepK3s || isAdopted;
  const cluster = hasK3s(inventory, 'server') ? await nodesOf(context) : undefined;
  // Where other servers are left, the cluster goes on without this one.
  const isOneOfServers =
    cluster === undefined || cluster.servers === 0
      ? inventory.has('k3s', 'server') && (await readJoined(context)) !== undefined
      : cluster.servers > 1;
  const workers = isOneOfServers || staysK3s ? [] : (cluster?.workers ?? []);
  return { isAdopted, staysK3s, isOneOfServers, workers };
}

/** @throws AgentError USAGE */
async function confirm(context: CliContext, staysK3s: boolean): Promise<void> {
  const what = staysK3s ? 'the agent' : 'the agent, Kubernetes and all that runs in it';
  if ((await context.io.confirm(`Remove ${what} from this machine?`)) !== true) {
    throw new AgentError('USAGE', 'Nothing was removed: it was not confirmed', {
      hint: 'Answer y, or give --yes',
    });
  }
}

/** What is left to do elsewhere, line by line. */
function lastWord(facts: {
  readonly how: UndoOptions;
  readonly isAdopted: boolean;
  readonly remains: readonly string[];
  readonly workers: readonly string[];
  readonly node: string | undefined;
}): readonly string[] {
  const { isUnfinished, keepK3s } = facts.how;
  if (facts.isAdopted) {
    return ['The agent is removed; k3s is as it was before.', ...facts.remains];
  }
  if (keepK3s) {
    return ['The agent is removed; k3s and what runs in it stay.', ...facts.remains];
  }
  return [
    isUnfinished
      ? 'Taken back: this machine is as it was before the installation.'
      : 'The agent, k3s and what ran in it are removed.',
    ...facts.remains,
    ...(facts.node === undefined
      ? []
      : [
          'The cluster still lists the node. To take it out, on a server: ' +
            `sudo k3s kubectl delete node ${facts.node}`,
        ]),
    ...(facts.workers.length === 0
      ? []
      : [
          `These workers have lost their cluster: ${facts.workers.join(', ')}. ` +
            'On each: sudo pipeops-agent uninstall',
        ]),
  ];
}

/** How many servers there are, and the workers; none where Kubernetes does not answer. */
async function nodesOf(
  context: CliContext,
): Promise<{ readonly servers: number; readonly workers: readonly string[] }> {
  const { readClusterInfo } = await import('../../host/cluster/info.ts');
  try {
    const { nodes } = await readClusterInfo(context);
    const workers = nodes.filter(({ role }) => role === 'worker').map(({ name }) => name);
    return { servers: nodes.length - workers.length, workers };
  } catch {
    return { servers: 0, workers: [] }; // A broken cluster is uninstalled all the same.
  }
}

/** What the cluster calls this worker. */
async function nodeName(context: CliContext): Promise<string> {
  const { loadEffectiveConfig } = await import('../../machine/effective-config.ts');
  try {
    const { config } = await loadEffectiveConfig(context, {});
    return nodeNameOf(context.hostname, config.k3s.node_name);
  } catch {
    return nodeNameOf(context.hostname, undefined); // Settings that cannot be read go as well.
  }
}
