import type { FlagDocument, ProgramDocument, SubcommandDocument } from '../help/document.ts';
import { type FirstWord, firstWordsOf } from './first-words.ts';
import { takesFile } from './takes-file.ts';

/**
 * For `source` after compinit, or as a file `_pipeops-agent` in one of the directories of fpath.
 */
export function zshCompletion(program: ProgramDocument): string {
  const firsts = firstWordsOf(program);
  return `#compdef pipeops-agent
# zsh completion of pipeops-agent ${program.version}
_pipeops_agent() {
  local name
  local -a choices
  if (( CURRENT == 2 )); then
    choices=(${described([...firsts, { word: 'help', summary: 'Show help' }])})
    _describe subcommand choices
    return
  fi
  if [[ $words[2] == help ]]; then
    shift words
    (( CURRENT-- ))
    if (( CURRENT == 2 )); then
      choices=(${described(firsts)})
      _describe subcommand choices
      return
    fi
  fi
  name=$words[2]
  case $name in
${firsts.flatMap(groupCase).join('\n')}
  esac
  shift words
  (( CURRENT-- ))
  case $name in
${program.subcommands.map(caseOf).join('\n')}
  esac
}
if [[ $funcstack[1] == _pipeops-agent ]]; then
  _pipeops_agent "$@"
else
  compdef _pipeops_agent pipeops-agent
fi
`;
}

function groupCase({ word, seconds }: FirstWord): readonly string[] {
  return seconds.length === 0
    ? []
    : [
        `    ${word})
      if (( CURRENT == 3 )) && [[ $words[3] != -* ]]; then
        choices=(${described(seconds)})
        _describe subcommand choices
        return
      fi
      if [[ $words[3] == (${seconds.map((each) => each.word).join('|')}) ]]; then
        name+=" $words[3]"
        shift words
        (( CURRENT-- ))
      fi
      ;;`,
      ];
}

function caseOf({ name, words, flags }: SubcommandDocument): string {
  const specs = [
    ...flags.map(flagSpec),
    ...words.map((word) => `:${escaped(word.name)}:${action(word.values, false)}`),
  ];
  return `    '${name}')\n      _arguments -S ${specs.map(quoted).join(' \\\n        ')}\n      ;;`;
}

function flagSpec(flag: FlagDocument): string {
  const { name, type, description, value_hint, values, repeatable } = flag;
  const many = repeatable ? '*' : '';
  return type === 'boolean'
    ? `${many}${name}[${escaped(description)}]`
    : `${many}${name}=[${escaped(description)}]:${escaped(value_hint ?? '')}:${action(values, takesFile(flag))}`;
}

/** A space means: a value is expected, and nobody can guess it. */
function action(values: readonly string[], isFile: boolean): string {
  if (values.length > 0) {
    return `(${values.join(' ')})`;
  }
  return isFile ? '_files' : ' ';
}

function described(
  choices: readonly { readonly word: string; readonly summary: string }[],
): string {
  return choices.map(({ word, summary }) => quoted(`${word}:${summary}`)).join(' ');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
