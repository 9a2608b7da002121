import type { FlagDocument, ProgramDocument, SubcommandDocument } from '../help/document.ts';
import { type FirstWord, firstWordsOf } from './first-words.ts';
import { takesFile } from './takes-file.ts';

/**
 * Needs bash 4 and nothing else. The script holds everything it offers: a tab key runs no program.
 * Flags come after the subcommand, so that it is always the first word, or the first two.
 */
export function bashCompletion(program: ProgramDocument): string {
  const firsts = firstWordsOf(program);
  const groups = firsts.filter(({ seconds }) => seconds.length > 0);
  return `# bash completion of pipeops-agent ${program.version}
_pipeops_agent() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  local first=1 second='' words='' flags='' repeatable='' values='' joined='' name='' word=''
  COMPREPLY=()

  # --flag=value is one word, or three where "=" divides words.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $cur == --*=* ]]; then
    prev=\${cur%%=*} joined=\${cur%%=*}= cur=\${cur#*=}
  fi

  [[ $COMP_CWORD -gt 1 && \${COMP_WORDS[1]} == help ]] && first=2
  name=\${COMP_WORDS[first]}
  case $name in
${groups.map(({ word, seconds }) => `    ${word}) second='${seconds.map((each) => each.word).join(' ')}' ;;`).join('\n')}
  esac
  if [[ $COMP_CWORD -eq $first ]]; then
    words='${firsts.map(({ word }) => word).join(' ')}'
    [[ $first -eq 1 ]] && words+=' help' flags='--help --version'
  elif [[ -n $second && $COMP_CWORD -eq $((first + 1)) && $cur != -* ]]; then
    words=$second
  else
    [[ -n $second && " $second " == *" \${COMP_WORDS[first + 1]} "* ]] && name+=" \${COMP_WORDS[first + 1]}"
    case $name in
${[...program.subcommands.map(caseOf), ...groups.flatMap(caseOfGroup)].join('\n')}
    esac
    flags=" $flags "
    for word in "\${COMP_WORDS[@]:first:COMP_CWORD-first}"; do
      [[ $word == -- ]] && flags=''
      [[ " $repeatable " == *" $word "* ]] || flags=\${flags/ $word / }
      [[ " $words " == *" $word "* ]] && words=''
    done
  fi

  if [[ -n $values ]]; then
    words=$values
  elif [[ $cur == -* ]]; then
    words=$flags
  elif [[ -z $words ]]; then
    words=$flags
  fi
  while IFS='' read -r word; do
    COMPREPLY+=("$joined$word")
  done < <(compgen -W "$words" -- "$cur")
}
complete -F _pipeops_agent pipeops-agent
`;
}

function caseOf({ name, words, flags }: SubcommandDocument): string {
  const given = words.flatMap(({ values }) => values);
  const repeatable = flags.filter((flag) => flag.repeatable);
  const lines = [
    `flags='${namesOf(flags, ' ')}'`,
    ...(repeatable.length === 0 ? [] : [`repeatable='${namesOf(repeatable, ' ')}'`]),
    ...(given.length === 0 ? [] : [`words='${given.join(' ')}'`]),
    ...valueCases(flags.filter(({ type }) => type === 'string')),
  ];
  return `      '${name}')\n${lines.map((line) => `        ${line}`).join('\n')}\n        ;;`;
}

/** Of a word that is no subcommand by itself. */
function caseOfGroup({ word, isSubcommand }: FirstWord): readonly string[] {
  return isSubcommand ? [] : [`      ${word}) flags='--help' ;;`];
}

/** What may follow a flag: a file, one of a few values, or a value that nobody can guess. */
function valueCases(flags: readonly FlagDocument[]): readonly string[] {
  const files = flags.filter(takesFile);
  const listed = flags.filter(({ values }) => values.length > 0);
  const free = flags.filter((flag) => !files.includes(flag) && !listed.includes(flag));
  const cases = [
    ...(files.length === 0 ? [] : [`  ${namesOf(files, '|')}) compopt -o default; return ;;`]),
    ...listed.map((flag) => `  ${flag.name}) values='${flag.values.join(' ')}' ;;`),
    ...(free.length === 0 ? [] : [`  ${namesOf(free, '|')}) return ;;`]),
  ];
  return cases.length === 0 ? [] : ['case $prev in', ...cases, 'esac'];
}

function namesOf(flags: readonly FlagDocument[], separator: string): string {
  return flags.map(({ name }) => name).join(separator);
}
