import { nodeNameOf } from '../../config/node-settings.ts';
import { AgentError } from '../../core/errors.ts';
import type { UnknownEntry } from '../../protocol/files/host-state.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

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
    yes: { type: 'boolean', default: false, description: 'Do not ask' },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { openInventory } = await import('../../host/engine/inventory.ts');
    const { uninstall } = await import('../../machine/uninstall.ts');
    const { permissionsManifest } = await import('../../machine/kubernetes-account.ts');
    const { policyOfPreset } = await import('../../machine/policy-preset.ts');
    const inventory = await openInventory(context);
    const left = inventory.unknown();
    if (inventory.entries().length === 0 && left.length > 0) {
      throw new AgentError('STATE_NEWER', `Only a newer pipeops-agent knows ${namesOf(left)}`, {
        hint: 'Install that version, and uninstall with it',
      });
    }
    if (inventory.entries().length === 0) {
      throw new AgentError('NOT_INSTALLED', 'There is nothing to remove: nothing was installed', {
        hint: 'Only what "pipeops-agent install" or "join" has set up is removed',
      });
    }
    const keepK3s = flags['keep-k3s'];
    if (flags['keep-data'] && flags['delete-data']) {
      throw new AgentError('USAGE', '--keep-data and --delete-data contradict each other', {
        hint: 'Give one of them, or none',
      });
    }
    const workers = inventory.has('k3s', 'server') ? await otherNodes(context) : [];
    if (workers.length > 0 && !keepK3s) {
      context.io.stderr(`These workers hang on this server: ${workers.join(', ')}\n`);
    }
    if (!flags.yes) {
      const what = keepK3s ? 'the agent' : 'the agent, Kubernetes and all that runs in it';
      const answer = await context.io.confirm(`Remove ${what} from this machine?`);
      if (answer !== true) {
        throw new AgentError('USAGE', 'Nothing was removed: it was not confirmed', {
          hint: 'Answer y, or give --yes',
        });
      }
    }
    // Read before the settings go.
    const node = inventory.has('k3s', 'agent') ? await nodeName(context) : undefined;
    const { removed, kept } = await uninstall(context, inventory, {
      keepK3s,
      keepData: flags['keep-data'],
      deleteData: flags['delete-data'],
      // Only names count when it is deleted, and they are the same in every policy.
      manifest: permissionsManifest(policyOfPreset('standard')),
    });
    if (flags.json) {
      const document = { removed, kept, left, workers, listed_node: node ?? null };
      context.io.stdout(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      context.io.stderr(lastWord({ keepK3s, kept, left, workers, node }));
    }
    return 0;
  },
});

/** What is left to do elsewhere. */
function lastWord(facts: {
  readonly keepK3s: boolean;
  readonly kept: readonly string[];
  readonly left: readonly UnknownEntry[];
  readonly workers: readonly string[];
  readonly node: string | undefined;
}): string {
  const lines = [
    facts.keepK3s
      ? 'The agent is removed; k3s and what runs in it stay.'
      : 'The agent, k3s and what ran in it are removed.',
  ];
  for (const file of facts.kept) {
    lines.push(
      `Kept: ${file}, by which the cluster knows this machine when it comes back. ` +
        'To remove it too: sudo rm -r /etc/rancher/node',
    );
  }
  if (facts.left.length > 0) {
    lines.push(
      `Left: ${namesOf(facts.left)}, which only a newer pipeops-agent knows how to remove. ` +
        'To remove it too: install that version, and uninstall with it',
    );
  }
  if (facts.keepK3s) {
    return `${lines.join('\n')}\n`;
  }
  if (facts.node !== undefined) {
    lines.push(
      `The cluster still lists the node. To take it out, on a server: ` +
        `sudo k3s kubectl delete node ${facts.node}`,
    );
  }
  if (facts.workers.length > 0) {
    lines.push(
      `These workers have lost their cluster: ${facts.workers.join(', ')}. ` +
        'On each: sudo pipeops-agent uninstall',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** `mount /srv/data, quota 7`. */
function namesOf(entries: readonly UnknownEntry[]): string {
  return entries.map(({ kind, name }) => `${kind} ${name}`).join(', ');
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
