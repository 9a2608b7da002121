import type { FlagDefinition, SubcommandDefinition } from './define-subcommand.ts';
import { SUBCOMMANDS } from './subcommands.ts';

/** Column at which descriptions begin. */
const DESCRIPTION_COLUMN = 30;

export function renderRootHelp(version: string): string {
  const rows = Object.entries(SUBCOMMANDS)
    .filter(([, entry]) => entry.summary !== '')
    .map(([name, entry]) => row(name, entry.summary));
  return [
    `pipeops-agent ${version}: turns this machine into a managed Kubernetes node`,
    '',
    'Usage: pipeops-agent <subcommand> [flags]',
    '',
    ...rows,
    '',
    'Each takes --help. For example: pipeops-agent install --help',
    '',
  ].join('\n');
}

export function renderSubcommandHelp(definition: SubcommandDefinition): string {
  const positionals = definition.positionals.map((positional) =>
    positional.required ? ` ${positional.name}` : ` [${positional.name}]`,
  );
  const flagRows = Object.entries(definition.flags).map(([name, flag]) =>
    row(flagLabel(name, flag), flag.description),
  );
  return [
    definition.description,
    '',
    `Usage: pipeops-agent ${definition.name}${positionals.join('')} [flags]`,
    '',
    ...definition.positionals.map((positional) => row(positional.name, positional.description)),
    ...flagRows,
    row('--help', 'Show this'),
    '',
    `Example: ${definition.example}`,
    '',
  ].join('\n');
}

function flagLabel(name: string, flag: FlagDefinition): string {
  return flag.type === 'string' ? `--${name} ${flag.placeholder ?? 'VALUE'}` : `--${name}`;
}

function row(label: string, description: string): string {
  const gap = label.length + 4 > DESCRIPTION_COLUMN ? `\n${' '.repeat(DESCRIPTION_COLUMN)}` : '';
  return `  ${gap === '' ? label.padEnd(DESCRIPTION_COLUMN - 2) : label + gap}${description}`;
}
