import { DRY_RUN_FLAG, JSON_FLAG } from './common-flags.ts';
import type { SubcommandDefinition } from './define-subcommand.ts';
import { settingFlags } from './setting-flags.ts';

export const installSubcommand: SubcommandDefinition = {
  name: 'install',
  description:
    'Makes this machine a Kubernetes server that its control plane can use. Safe to run again: it goes on where it ended.',
  example: 'sudo pipeops-agent install --token-file /root/token --cluster-name prod',
  flags: {
    'token-file': {
      type: 'string',
      description: "File with the control plane's token; asked for when absent",
      placeholder: 'FILE',
    },
    ...settingFlags(),
    policy: {
      type: 'string',
      description: 'What the control plane may do here: see "policy presets" (default standard)',
      placeholder: 'PRESET',
    },
    'dry-run': DRY_RUN_FLAG,
    json: JSON_FLAG,
  },
  positionals: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const options = { json: flags['json'] === true, dryRun: flags['dry-run'] === true };
    if (context.env['NODE_TYPE'] === 'agent') {
      const { joinWithK3sVariables } = await import('./join-machine.ts');
      return joinWithK3sVariables(context, flags, options);
    }
    const { installServer } = await import('./install-server.ts');
    return installServer(context, flags, options);
  },
};
