import { DRY_RUN_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import { workerSettingFlags } from '../definition/setting-flags.ts';
import type { SubcommandDefinition } from '../definition/subcommand.ts';

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
    ...workerSettingFlags(),
    'dry-run': DRY_RUN_FLAG,
    json: JSON_FLAG,
  },
  positionals: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { joinWithToken } = await import('../../machine/join.ts');
    return joinWithToken(context, flags, {
      json: flags['json'] === true,
      dryRun: flags['dry-run'] === true,
    });
  },
};
