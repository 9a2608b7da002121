import { BUILD, VERSION_LINE } from '../../core/version.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

export const versionSubcommand = defineSubcommand({
  name: 'version',
  description: 'Prints the version of this program.',
  example: 'pipeops-agent version --json',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const build = { ...BUILD, committedAt: BUILD.committedAt?.toISOString() };
    context.io.stdout(
      flags.json ? jsonDocument<'version'>({ ...build, bun: Bun.version }) : VERSION_LINE,
    );
    return 0;
  },
});
