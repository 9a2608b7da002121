import { AgentError } from '../../core/errors.ts';
import type { Subcommands } from '../definition/listed.ts';
import { defineSubcommand, type Subcommand } from '../definition/subcommand.ts';

/** Loaded only when it is asked for. */
const SHELLS = {
  bash: async () => (await import('../completion/bash.ts')).bashCompletion,
  zsh: async () => (await import('../completion/zsh.ts')).zshCompletion,
  fish: async () => (await import('../completion/fish.ts')).fishCompletion,
} as const;

/** @param subcommands all that there are */
export function completionSubcommand(subcommands: Subcommands): Subcommand {
  return defineSubcommand({
    name: 'completion',
    description:
      'Prints what a shell needs to complete subcommands, flags and what may be given. In bash: source <(pipeops-agent completion bash). In the others: docs/CLI.md.',
    example: 'pipeops-agent completion bash',
    flags: {},
    words: [
      {
        name: 'SHELL',
        description: 'which shell: bash, zsh or fish',
        required: true,
        values: Object.keys(SHELLS),
      },
    ],
    needsRoot: false,
    run: async (context, { words }) => {
      if (!isShell(words.SHELL)) {
        throw new AgentError('USAGE', 'There is no completion for that shell', {
          hint: `There is one for ${Object.keys(SHELLS).join(', ')}`,
        });
      }
      const { describeProgram } = await import('../help/document.ts');
      const completion = await SHELLS[words.SHELL]();
      context.io.stdout(completion(await describeProgram(subcommands)));
      return 0;
    },
  });
}

function isShell(name: string): name is keyof typeof SHELLS {
  return Object.hasOwn(SHELLS, name);
}
