import type { Subcommand } from './subcommand.ts';

export interface SubcommandEntry {
  /**
   * One line of `pipeops-agent --help`; empty for subcommands that are for units, not for people.
   */
  readonly summary: string;
  /** The definition is loaded only when it is asked for: the root help and `version` stay fast. */
  readonly load: () => Promise<Subcommand>;
}

/** By name, in the order of the help. A name may have two words: `token create`. */
export type Subcommands = Readonly<Record<string, SubcommandEntry>>;

/** The second words for people that may follow the first: `create`, `list` for `token`. */
export function secondWordsOf(subcommands: Subcommands, first: string): readonly string[] {
  return Object.entries(subcommands)
    .filter(([name, { summary }]) => name.startsWith(`${first} `) && summary !== '')
    .map(([name]) => name.slice(first.length + 1));
}
