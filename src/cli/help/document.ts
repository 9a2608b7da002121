/**
 * The subcommands and flags as data: for `--help --json`, docs/CLI.md and completion. The names of
 * its fields are a promise to programs that read it.
 */
import { EXIT_CODES } from '../../core/exit-codes.ts';
import { BUILD } from '../../core/version.ts';
import type { FlagDefinition } from '../definition/arguments.ts';
import type { SubcommandEntry, Subcommands } from '../definition/listed.ts';
import { shownFlags, usageOf, VALUE_HINT_DEFAULT } from './text.ts';

export interface FlagDocument {
  /** With its dashes. */
  readonly name: string;
  readonly type: FlagDefinition['type'];
  readonly description: string;
  /** The name that help gives the value: FILE; null for a switch, which takes none. */
  readonly value_hint: string | null;
  /** The values that may be given; empty where anything may. */
  readonly values: readonly string[];
  readonly default: string | boolean | null;
  readonly repeatable: boolean;
}

export interface WordDocument {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly values: readonly string[];
}

export interface SubcommandDocument {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly usage: string;
  readonly example: string;
  readonly needs_root: boolean;
  readonly words: readonly WordDocument[];
  readonly flags: readonly FlagDocument[];
}

export interface ProgramDocument {
  readonly name: 'pipeops-agent';
  readonly version: string;
  readonly subcommands: readonly SubcommandDocument[];
  readonly exit_codes: typeof EXIT_CODES;
}

/** Describes all subcommands for people, or those that begin with a word: `token`. */
export async function describeProgram(
  subcommands: Subcommands,
  first?: string,
): Promise<ProgramDocument> {
  const shown = Object.entries(subcommands).filter(
    ([name, { summary }]) =>
      summary !== '' && (first === undefined || name.startsWith(`${first} `)),
  );
  return {
    name: 'pipeops-agent',
    version: BUILD.version,
    subcommands: await Promise.all(shown.map(([, entry]) => describeSubcommand(entry))),
    exit_codes: EXIT_CODES,
  };
}

export async function describeSubcommand({
  summary,
  load,
}: SubcommandEntry): Promise<SubcommandDocument> {
  const subcommand = await load();
  return {
    name: subcommand.name,
    summary,
    description: subcommand.description,
    usage: usageOf(subcommand),
    example: subcommand.example,
    needs_root: subcommand.needsRoot,
    words: subcommand.words.map(({ values = [], ...word }) => ({ ...word, values })),
    flags: shownFlags(subcommand).map(([flag, definition]) => describeFlag(flag, definition)),
  };
}

function describeFlag(name: string, flag: FlagDefinition): FlagDocument {
  return {
    name: `--${name}`,
    type: flag.type,
    description: flag.description,
    value_hint: flag.type === 'boolean' ? null : (flag.valueHint ?? VALUE_HINT_DEFAULT),
    values: flag.values ?? [],
    default: flag.default ?? null,
    repeatable: flag.repeatable ?? false,
  };
}
