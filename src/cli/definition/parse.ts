import { parseArgs } from 'citty';
import { AgentError } from '../../core/errors.ts';
import { didYouMean } from '../../core/text/did-you-mean.ts';
import type {
  FlagDefinition,
  FlagDefinitions,
  SubcommandArgs,
  WordDefinition,
} from './arguments.ts';

/** What of a subcommand's definition counts here. */
interface Definition<
  Flags extends FlagDefinitions = FlagDefinitions,
  Words extends readonly WordDefinition[] = readonly WordDefinition[],
> {
  readonly name: string;
  readonly flags: Flags;
  readonly words: Words;
}

/**
 * Reads the words after the subcommand. Stricter than the parser: an unknown flag, a flag without
 * its value and an extra word are errors.
 * @throws AgentError UNKNOWN_FLAG, USAGE
 */
export function parseSubcommandArgs<
  const Flags extends FlagDefinitions,
  const Words extends readonly WordDefinition[],
>(definition: Definition<Flags, Words>, typed: readonly string[]): SubcommandArgs<Flags, Words> {
  const given = withLongNames(definition, typed);
  checkFlags(definition, given);
  const parsed = parseArgs<FlagDefinitions>([...given], definition.flags);
  checkWords(definition, parsed._);
  const flags: Record<string, unknown> = {};
  for (const [name, { repeatable, default: usual }] of Object.entries<FlagDefinition>(
    definition.flags,
  )) {
    if (wasGiven(name, given)) {
      flags[name] = repeatable === true ? valuesOf(name, given).join(',') : parsed[name];
    } else if (usual !== undefined) {
      flags[name] = usual;
    }
  }
  const words = Object.fromEntries(
    parsed._.map((word, at) => [definition.words[at]?.name ?? '', word]),
  );
  // The one place where the types of a definition become those of values: the checks above matched
  // them.
  return { flags, words } as SubcommandArgs<Flags, Words>;
}

/** `-f` as `--follow`, where a flag has that letter. */
function withLongNames({ flags }: Definition, typed: readonly string[]): readonly string[] {
  const count = beforeDashes(typed).length;
  return typed.map((word, at) => {
    const long = Object.entries(flags).find(([, { short }]) => word === `-${short}`)?.[0];
    return at < count && long !== undefined ? `--${long}` : word;
  });
}

/** Every value of a flag; the parser keeps only the last. */
function valuesOf(name: string, given: readonly string[]): readonly string[] {
  return beforeDashes(given).flatMap((word, at) => {
    if (word.startsWith(`--${name}=`)) {
      return [word.slice(name.length + 3)];
    }
    return word === `--${name}` ? [given[at + 1] ?? ''] : [];
  });
}

/** The parser gives absent flags a value too; only flags on the command line count. */
function wasGiven(name: string, given: readonly string[]): boolean {
  return beforeDashes(given).some(
    (word) => word === `--${name}` || word.startsWith(`--${name}=`) || word === `--no-${name}`,
  );
}

function checkFlags(definition: Definition, given: readonly string[]): void {
  for (let at = 0; at < given.length; at += 1) {
    const word = given[at] ?? '';
    if (word === '--') {
      return;
    }
    if (!word.startsWith('-') || word === '-') {
      continue;
    }
    const [name = '', inline] = word.replace(/^--?/, '').split(/=(.*)/s);
    const flag = Object.hasOwn(definition.flags, name) ? definition.flags[name] : undefined;
    const negated = name.startsWith('no-') ? definition.flags[name.slice(3)] : undefined;
    if (!word.startsWith('--') || (flag === undefined && negated?.type !== 'boolean')) {
      throw unknownFlag(definition, word.split('=')[0] ?? word, name);
    }
    if (flag === undefined && inline !== undefined) {
      throw usage(definition, `--${name} takes no value`);
    }
    // The parser would take any other value for "true": --allow-insecure=no.
    if (flag?.type === 'boolean' && !['true', 'false', undefined].includes(inline)) {
      throw usage(definition, `--${name} is true or false`);
    }
    if (flag?.type === 'string' && inline === undefined) {
      at += 1;
      const value = given[at];
      if (value === undefined || (value.startsWith('--') && value !== '--')) {
        throw usage(definition, `--${name} needs a value`);
      }
    }
  }
}

function checkWords(definition: Definition, words: readonly string[]): void {
  const extra = words[definition.words.length];
  if (extra !== undefined && Object.hasOwn(definition.flags, 'token-file')) {
    // The word is not repeated: it may be the token itself.
    throw new AgentError('USAGE', `"${definition.name}" takes flags, and no other word`, {
      hint: 'If it was a token: give it in a file, with --token-file FILE',
    });
  }
  if (extra !== undefined) {
    throw usage(definition, `Cannot use "${extra}": "${definition.name}" takes no such word`);
  }
  const missing = definition.words[words.length];
  if (missing?.required) {
    throw usage(definition, `"${definition.name}" needs ${missing.name}: ${missing.description}`);
  }
}

function unknownFlag(definition: Definition, word: string, name: string): AgentError {
  const suggestion = didYouMean(name, Object.keys(definition.flags));
  return new AgentError('UNKNOWN_FLAG', `"${definition.name}" has no flag ${word}`, {
    hint:
      suggestion === undefined
        ? `See: pipeops-agent ${definition.name} --help`
        : `Did you mean --${suggestion}? See: pipeops-agent ${definition.name} --help`,
  });
}

function usage(definition: Definition, message: string): AgentError {
  return new AgentError('USAGE', message, {
    hint: `See: pipeops-agent ${definition.name} --help`,
  });
}

function beforeDashes(given: readonly string[]): readonly string[] {
  const end = given.indexOf('--');
  return end < 0 ? given : given.slice(0, end);
}
