import { AgentError } from '../core/errors.ts';
import { JSON_FLAG } from './common-flags.ts';
import type { SubcommandDefinition } from './define-subcommand.ts';

export const uninstallSubcommand: SubcommandDefinition = {
  name: 'uninstall',
  description: 'Removes what was installed on this machine, and only that.',
  example: 'sudo pipeops-agent uninstall --yes',
  flags: {
    'keep-k3s': { type: 'boolean', description: 'Leave k3s and what runs in it' },
    'keep-data': { type: 'boolean', description: "Leave the agent's identity, token and journal" },
    yes: { type: 'boolean', description: 'Do not ask' },
    json: JSON_FLAG,
  },
  positionals: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { openInventory } = await import('../host/inventory.ts');
    const { uninstall } = await import('../host/uninstall.ts');
    const { permissionsManifest } = await import('./kubernetes-account.ts');
    const { policyOfPreset } = await import('./policy-preset.ts');
    const inventory = await openInventory(context);
    if (inventory.entries().length === 0) {
      throw new AgentError('NOT_INSTALLED', 'There is nothing to remove: nothing was installed', {
        hint: 'Only what "pipeops-agent install" or "join" has set up is removed',
      });
    }
    const keepK3s = flags['keep-k3s'] === true;
    if (flags['yes'] !== true) {
      const what = keepK3s ? 'the agent' : 'the agent, Kubernetes and all that runs in it';
      const answer = await context.io.confirm(`Remove ${what} from this machine?`);
      if (answer !== true) {
        throw new AgentError('USAGE', 'Nothing was removed: it was not confirmed', {
          hint: 'Answer y, or give --yes',
        });
      }
    }
    const removed = await uninstall(context, inventory, {
      keepK3s,
      keepData: flags['keep-data'] === true,
      // Only names count when it is deleted, and they are the same in every policy.
      manifest: permissionsManifest(policyOfPreset('standard')),
    });
    if (flags['json'] === true) {
      context.io.stdout(`${JSON.stringify({ removed }, null, 2)}\n`);
    }
    return 0;
  },
};
