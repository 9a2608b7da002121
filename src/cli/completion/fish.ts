import type { FlagDocument, ProgramDocument, SubcommandDocument } from '../help/document.ts';
import { type FirstWord, firstWordsOf } from './first-words.ts';
import { takesFile } from './takes-file.ts';

export function fishCompletion(program: ProgramDocument): string {
  const firsts = firstWordsOf(program);
  return `# fish completion of pipeops-agent ${program.version}
function __pipeops_agent_words
    set -l words (commandline -opc)
    set -e words[1]
    if test "$words[1]" = help
        set -e words[1]
    end
    printf '%s\\n' $words
end
# Whether nothing else than these words was typed before.
function __pipeops_agent_only
    set -l typed (__pipeops_agent_words | string join ' ')
    test "$typed" = "$argv"
end
# Whether these words were typed first.
function __pipeops_agent_in
    set -l typed (__pipeops_agent_words | string join ' ')
    string match -q -- "$argv *" "$typed "
end
complete -c pipeops-agent -f
${[
  ...firsts.flatMap(({ word, summary, seconds }) => [
    offer('__pipeops_agent_only', `-a ${word} -d ${quoted(summary)}`),
    ...seconds.map((second) =>
      offer(`__pipeops_agent_only ${word}`, `-a ${second.word} -d ${quoted(second.summary)}`),
    ),
  ]),
  offer('__pipeops_agent_only', `-a help -d 'Show help'`),
  ...program.subcommands.flatMap((each) => linesOf(each, firsts)),
].join('\n')}
`;
}

function linesOf(
  { name, words, flags }: SubcommandDocument,
  firsts: readonly FirstWord[],
): readonly string[] {
  const seconds = firsts.find(({ word }) => word === name)?.seconds ?? [];
  const others = seconds.map(({ word }) => `; and not __pipeops_agent_in ${name} ${word}`);
  return [
    ...words.flatMap(({ values }) =>
      values.length === 0
        ? []
        : [offer(`__pipeops_agent_only ${name}`, `-a '${values.join(' ')}'`)],
    ),
    ...flags.map((flag) => offer(`__pipeops_agent_in ${name}${others.join('')}`, optionOf(flag))),
  ];
}

function optionOf(flag: FlagDocument): string {
  const option = `-l ${flag.name.slice(2)} -d ${quoted(flag.description)}`;
  if (flag.type === 'boolean') {
    return option;
  }
  if (flag.values.length > 0) {
    return `${option} -x -a '${flag.values.join(' ')}'`;
  }
  return `${option} ${takesFile(flag) ? '-r -F' : '-x'}`;
}

function offer(condition: string, what: string): string {
  return `complete -c pipeops-agent -n '${condition}' ${what}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}
