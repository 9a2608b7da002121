import type { FlagDefinition, Subcommand } from './definition/subcommand.ts';
import { SUBCOMMANDS, subcommandsOf } from './subcommands/list.ts';
import { wrapText } from './terminal/wrap-text.ts';

/** What every terminal has. */
const COLUMNS = 80;
/** Column at which descriptions begin. */
const DESCRIPTION_COLUMN = 30;

export function renderRootHelp(version: string): string {
  return [
    `pipeops-agent ${version}: turns this machine into a managed Kubernetes node`,
    '',
    'Usage: pipeops-agent <subcommand> [flags]',
    '',
    ...summaries(Object.keys(SUBCOMMANDS)),
    '',
    'Each takes --help. For example: pipeops-agent install --help',
    '',
  ].join('\n');
}

/** Of a word that only begins subcommands, such as `token`. */
export function renderGroupHelp(first: string): string {
  const names = subcommandsOf(first).map((second) => `${first} ${second}`);
  return [
    `Usage: pipeops-agent ${first} <subcommand> [flags]`,
    '',
    ...summaries(names),
    '',
    `Each takes --help. For example: pipeops-agent ${names[0]} --help`,
    '',
  ].join('\n');
}

export function renderSubcommandHelp(definition: Subcommand): string {
  const words = definition.words.map(({ name, required }) =>
    required ? ` ${name}` : ` [${name}]`,
  );
  return [
    ...wrapText(definition.description, COLUMNS),
    '',
    `Usage: pipeops-agent ${definition.name}${words.join('')} [flags]`,
    '',
    ...definition.words.flatMap(({ name, description }) => row(name, description)),
    ...shownFlags(definition).flatMap(([name, flag]) =>
      row(flagLabel(name, flag), describedFlag(flag)),
    ),
    ...row('--help', 'Show this'),
    '',
    `Example: ${definition.example}`,
    '',
  ].join('\n');
}

function summaries(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const summary = SUBCOMMANDS[name]?.summary ?? '';
    return summary === '' ? [] : row(name, summary);
  });
}

/** What a person is told of: not what is only understood. */
export function shownFlags(
  definition: Pick<Subcommand, 'flags'>,
): readonly (readonly [string, FlagDefinition])[] {
  return Object.entries(definition.flags).filter(([, { hidden }]) => hidden !== true);
}

function describedFlag({ description, default: usual }: FlagDefinition): string {
  return typeof usual === 'string' ? `${description} (default ${usual})` : description;
}

function flagLabel(name: string, flag: FlagDefinition): string {
  return flag.type === 'string' ? `--${name} ${flag.valueHint ?? 'VALUE'}` : `--${name}`;
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
