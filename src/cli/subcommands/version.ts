import { BUILD, VERSION_LINE } from '../../core/version.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

export const versionSubcommand = defineSubcommand({
  name: 'version',
  description: 'Prints the version of this program.',
  example: 'pipeops-agent version --json',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    context.io.stdout(
      flags.json ? `${JSON.stringify({ ...BUILD, bun: Bun.version }, null, 2)}\n` : VERSION_LINE,
    );
    return 0;
  },
});
