import type { FlagDefinition } from '../definition/arguments.ts';
import { type Subcommands, secondWordsOf } from '../definition/listed.ts';
import type { Subcommand } from '../definition/subcommand.ts';
import { wrapText } from '../terminal/wrap-text.ts';

/** A width that every terminal has. */
const COLUMNS = 80;
/** Column at which descriptions begin. */
const DESCRIPTION_COLUMN = 30;
/** The name of a value to which its definition gives none. */
export const VALUE_HINT_DEFAULT = 'VALUE';
/** Every subcommand has it; the dispatcher handles it before they see it. */
const HELP_FLAG: FlagDefinition = {
  type: 'boolean',
  default: false,
  description: 'Show this; with --json, for programs',
};

export function renderRootHelp(subcommands: Subcommands, version: string): string {
  return [
    `pipeops-agent ${version}: turns this machine into a managed Kubernetes node`,
    '',
    'Usage: pipeops-agent <subcommand> [flags]',
    '',
    ...summaries(subcommands, Object.keys(subcommands)),
    '',
    'Each takes --help. For example: pipeops-agent install --help',
    '',
  ].join('\n');
}

/** The help of a word that only begins subcommands, such as `token`. */
export function renderGroupHelp(subcommands: Subcommands, first: string): string {
  const names = secondWordsOf(subcommands, first).map((second) => `${first} ${second}`);
  return [
    `Usage: pipeops-agent ${first} <subcommand> [flags]`,
    '',
    ...summaries(subcommands, names),
    '',
    `Each takes --help. For example: pipeops-agent ${names[0]} --help`,
    '',
  ].join('\n');
}

/** @param subcommands of which some may begin with its name: `upgrade k3s` */
export function renderSubcommandHelp(definition: Subcommand, subcommands: Subcommands): string {
  const { name } = definition;
  const further = secondWordsOf(subcommands, name).map((second) => `${name} ${second}`);
  return [
    ...wrapText(definition.description, COLUMNS),
    '',
    `Usage: ${usageOf(definition)}`,
    '',
    ...definition.words.flatMap(({ name, description }) => row(name, description)),
    ...shownFlags(definition).flatMap(([name, flag]) =>
      row(flagLabel(name, flag), describedFlag(flag)),
    ),
    '',
    `Example: ${definition.example}`,
    '',
    ...(further.length === 0 ? [] : ['See also:', ...summaries(subcommands, further), '']),
  ].join('\n');
}

function summaries(subcommands: Subcommands, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const summary = subcommands[name]?.summary ?? '';
    return summary === '' ? [] : row(name, summary);
  });
}

export function usageOf({ name, words }: Pick<Subcommand, 'name' | 'words'>): string {
  const named = words.map((word) => (word.required ? ` ${word.name}` : ` [${word.name}]`));
  return `pipeops-agent ${name}${named.join('')} [flags]`;
}

/** The flags of a subcommand, with the one that each has. */
export function shownFlags({
  flags,
}: Pick<Subcommand, 'flags'>): readonly (readonly [string, FlagDefinition])[] {
  return Object.entries({ ...flags, help: HELP_FLAG });
}

function describedFlag({ description, default: usual }: FlagDefinition): string {
  return typeof usual === 'string' ? `${description} (default ${usual})` : description;
}

function flagLabel(name: string, flag: FlagDefinition): string {
  return flag.type === 'string' ? `--${name} ${flag.valueHint ?? VALUE_HINT_DEFAULT}` : `--${name}`;
}

function row(label: string, description: string): readonly string[] {
  const [first = '', ...others] = wrapText(description, COLUMNS - DESCRIPTION_COLUMN);
  const indent = ' '.repeat(DESCRIPTION_COLUMN);
  const fits = label.length + 4 <= DESCRIPTION_COLUMN;
  return [
    ...(fits ? [`  ${label}`.padEnd(DESCRIPTION_COLUMN) + first] : [`  ${label}`, indent + first]),
    ...others.map((line) => indent + line),
  ];
}
