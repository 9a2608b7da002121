import type { FlagDefinitions, SubcommandArgs, WordDefinition } from './arguments.ts';
import type { CliContext } from './context.ts';

/**
 * What a subcommand declares. Its work is behind an `import()` in `run`, so that --help stays fast.
 * The types of its arguments, help, docs/CLI.md and completion all come from here.
 */
export interface SubcommandDefinition<
  Flags extends FlagDefinitions = FlagDefinitions,
  Words extends readonly WordDefinition[] = readonly WordDefinition[],
> {
  readonly name: string;
  readonly description: string;
  readonly example: string;
  readonly flags: Flags;
  readonly words: Words;
  /** Refused with NOT_ROOT unless root calls it. */
  readonly needsRoot: boolean;
  /** Takes the lock of the subcommands that change the machine: one at a time. */
  readonly locks?: boolean;
  /** @returns the exit code */
  readonly run: (context: CliContext, args: SubcommandArgs<Flags, Words>) => Promise<number>;
}

/** A subcommand without the types of its arguments. */
export interface Subcommand extends Omit<SubcommandDefinition, 'run'> {
  /**
   * Reads the words after its name.
   * @returns its work, with the exit code
   * @throws AgentError UNKNOWN_FLAG, USAGE
   */
  prepare(given: readonly string[]): Promise<(context: CliContext) => Promise<number>>;
}

export function defineSubcommand<
  const Flags extends FlagDefinitions,
  const Words extends readonly WordDefinition[],
>(definition: SubcommandDefinition<Flags, Words>): Subcommand {
  const { run, ...declared } = definition;
  return {
    ...declared,
    prepare: async (given) => {
      // Loaded only now: help does not need the parser.
      const { parseSubcommandArgs } = await import('./parse.ts');
      const args = parseSubcommandArgs(definition, given);
      return (context) => run(context, args);
    },
  };
}
