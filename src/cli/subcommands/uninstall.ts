import { nodeNameOf } from '../../config/node-settings.ts';
import { AgentError } from '../../core/errors.ts';
import type { HostInventory } from '../../host/engine/inventory.ts';
import type { UndoOptions } from '../../host/engine/resource.ts';
import { DRY_RUN_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { lines, namesOf, remainsOf, renderRemovalPlan } from './removal-outcome.ts';

export const uninstallSubcommand = defineSubcommand({
  name: 'uninstall',
  description: 'Removes what was installed on this machine, and only that.',
  example: 'sudo pipeops-agent uninstall --yes',
  flags: {
    'keep-k3s': { type: 'boolean', default: false, description: 'Leave k3s and what runs in it' },
    'keep-data': {
      type: 'boolean',
      default: false,
      description: "Leave the agent's identity, token and journal",
    },
    'delete-data': {
      type: 'boolean',
      default: false,
      description: 'Remove also what lets a worker come back under its name',
    },
    'dry-run': DRY_RUN_FLAG,
    yes: { type: 'boolean', default: false, description: 'Do not ask' },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { openInventory } = await import('../../host/engine/inventory.ts');
    const { planUninstall, uninstall } = await import('../../machine/uninstall.ts');
    const inventory = await openInventory(context);
    await checkInstalled(context, inventory);
    const how = howOf(flags);
    const { json } = flags;
    if (flags['dry-run']) {
      const plan = await planUninstall(context, inventory, how);
      context.io.stdout(renderRemovalPlan(plan, { json, columns: context.io.columns }));
      return 0;
    }
    const workers = inventory.has('k3s', 'server') ? await otherNodes(context) : [];
    if (workers.length > 0 && !how.keepK3s) {
      context.io.stderr(`These workers hang on this server: ${workers.join(', ')}\n`);
    }
    if (!flags.yes) {
      await confirm(context, how);
    }
    // Read before the settings go.
    const node = inventory.has('k3s', 'agent') ? await nodeName(context) : undefined;
    const { removed, kept, left } = await uninstall(context, inventory, how);
    if (json) {
      const document = { removed, kept, left, workers, listed_node: node ?? null };
      context.io.stdout(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      const remains = remainsOf({ kept, left });
      context.io.stderr(lines(lastWord({ keepK3s: how.keepK3s, remains, workers, node })));
    }
    return 0;
  },
});

/** @throws AgentError NOT_INSTALLED, STATE_NEWER */
async function checkInstalled(context: CliContext, inventory: HostInventory): Promise<void> {
  const { installationState } = await import('../../host/engine/step-journal.ts');
  const left = inventory.unknown();
  if (inventory.entries().length > 0) {
    return;
  }
  if (left.length > 0) {
    throw new AgentError('STATE_NEWER', `Only a newer pipeops-agent knows ${namesOf(left)}`, {
      hint: 'Install that version, and uninstall with it',
    });
  }
  // One that was killed at its very end has left the list, empty.
  if ((await installationState(context, inventory)) === 'none') {
    throw new AgentError('NOT_INSTALLED', 'There is nothing to remove: nothing was installed', {
      hint: 'Only what "pipeops-agent install" or "join" has set up is removed',
    });
  }
}

/** @throws AgentError USAGE */
function howOf(flags: RemovalFlags): UndoOptions {
  const { 'keep-data': keepData, 'delete-data': deleteData, 'keep-k3s': keepK3s } = flags;
  if (keepData && deleteData) {
    throw new AgentError('USAGE', '--keep-data and --delete-data contradict each other', {
      hint: 'Give one of them, or none',
    });
  }
  return { keepK3s, keepData, deleteData, isUnfinished: false };
}

interface RemovalFlags {
  readonly 'keep-k3s': boolean;
  readonly 'keep-data': boolean;
  readonly 'delete-data': boolean;
}

/** @throws AgentError USAGE */
async function confirm(context: CliContext, { keepK3s }: UndoOptions): Promise<void> {
  const what = keepK3s ? 'the agent' : 'the agent, Kubernetes and all that runs in it';
  if ((await context.io.confirm(`Remove ${what} from this machine?`)) !== true) {
    throw new AgentError('USAGE', 'Nothing was removed: it was not confirmed', {
      hint: 'Answer y, or give --yes',
    });
  }
}

/** What is left to do elsewhere, line by line. */
function lastWord(facts: {
  readonly keepK3s: boolean;
  readonly remains: readonly string[];
  readonly workers: readonly string[];
  readonly node: string | undefined;
}): readonly string[] {
  if (facts.keepK3s) {
    return ['The agent is removed; k3s and what runs in it stay.', ...facts.remains];
  }
  return [
    'The agent, k3s and what ran in it are removed.',
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

/** The workers of this server; none where Kubernetes does not answer. */
async function otherNodes(context: CliContext): Promise<readonly string[]> {
  const { readClusterInfo } = await import('../../host/cluster/info.ts');
  try {
    const { nodes } = await readClusterInfo(context);
    return nodes.flatMap(({ name, role }) => (role === 'worker' ? [name] : []));
  } catch {
    return []; // A broken cluster is uninstalled all the same.
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
