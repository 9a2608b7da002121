import type { SubcommandDefinition } from './define-subcommand.ts';
import { settingFlags } from './setting-flags.ts';

export const joinSubcommand: SubcommandDefinition = {
  name: 'join',
  description: 'Makes this machine a node of an existing cluster. The token alone is enough.',
  example: 'sudo pipeops-agent join --token-file /root/join-token',
  flags: {
    'token-file': {
      type: 'string',
      description: 'File with the join token; - for standard input',
      placeholder: 'FILE',
    },
    token: {
      type: 'string',
      description: 'The join token itself (others here can read it); - for standard input',
      placeholder: 'TOKEN',
    },
    ...settingFlags(),
    'dry-run': { type: 'boolean', description: 'Print what would be done, and do nothing' },
    json: { type: 'boolean', description: 'Print one JSON document' },
  },
  positionals: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { joinWithToken } = await import('./join-machine.ts');
    return joinWithToken(context, flags, {
      json: flags['json'] === true,
      dryRun: flags['dry-run'] === true,
    });
  },
};
