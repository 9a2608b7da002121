import { BUILD } from '../../core/version.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { SubcommandDefinition } from '../definition/subcommand.ts';

export const versionSubcommand: SubcommandDefinition = {
  name: 'version',
  description: 'Prints the version of this program.',
  example: 'pipeops-agent version --json',
  flags: { json: JSON_FLAG },
  positionals: [],
  needsRoot: false,
  run: async (context, args) => {
    context.io.stdout(
      args.flags['json'] === true
        ? `${JSON.stringify({ ...BUILD, bun: Bun.version }, null, 2)}\n`
        : `pipeops-agent ${BUILD.version} (${BUILD.commit})\n`,
    );
    return 0;
  },
};
