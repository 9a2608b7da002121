import type { ArgsDef } from 'citty';
import { parseArgs } from 'citty';
import { AgentError } from '../../core/errors.ts';
import { didYouMean } from '../../core/text/did-you-mean.ts';
import type { CliContext } from './context.ts';

export interface FlagDefinition {
  readonly type: 'string' | 'boolean';
  readonly description: string;
  /** What stands for the value in the help: FILE, NAME. */
  readonly placeholder?: string;
  /** May be given several times; the values are joined by commas. */
  readonly repeatable?: boolean;
}

export interface PositionalDefinition {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
}

export interface SubcommandArgs {
  /** Given flags by name; what was not given is absent. */
  readonly flags: Readonly<Record<string, string | boolean>>;
  readonly positionals: readonly string[];
}

/** What a subcommand declares. Its work stands behind an `import()` in `run`: --help stays fast. */
export interface SubcommandDefinition {
  readonly name: string;
  readonly description: string;
  readonly example: string;
  readonly flags: Readonly<Record<string, FlagDefinition>>;
  readonly positionals: readonly PositionalDefinition[];
  /** Refused with NOT_ROOT unless root calls it. */
  readonly needsRoot: boolean;
  /** Takes the lock of the subcommands that change the machine: one at a time. */
  readonly locks?: boolean;
  /** Not listed in the help: for units, not for people. */
  readonly hidden?: boolean;
  /** @returns the exit code */
  run(context: CliContext, args: SubcommandArgs): Promise<number>;
}

/**
 * Reads the words after the subcommand. Stricter than the parser: an unknown flag, a flag without
 * its value and a word too many are errors.
 * @throws AgentError UNKNOWN_FLAG, USAGE
 */
export function parseSubcommandArgs(
  definition: SubcommandDefinition,
  words: readonly string[],
): SubcommandArgs {
  checkFlags(definition, words);
  const argsDef: ArgsDef = Object.fromEntries(
    Object.entries(definition.flags).map(([name, flag]) => [name, { type: flag.type }]),
  );
  const parsed: Record<string, unknown> = parseArgs([...words], argsDef);
  const positionals = Array.isArray(parsed['_']) ? parsed['_'].map(String) : [];
  checkPositionals(definition, positionals);
  const flags: Record<string, string | boolean> = {};
  for (const [name, { repeatable }] of Object.entries(definition.flags)) {
    const value = repeatable === true ? valuesOf(name, words).join(',') : parsed[name];
    if ((typeof value === 'string' || typeof value === 'boolean') && wasGiven(name, words)) {
      flags[name] = value;
    }
  }
  return { flags, positionals };
}

/** Every value of a flag; the parser keeps the last. */
function valuesOf(name: string, words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return (end < 0 ? words : words.slice(0, end)).flatMap((word, at) => {
    if (word.startsWith(`--${name}=`)) {
      return [word.slice(name.length + 3)];
    }
    return word === `--${name}` ? [words[at + 1] ?? ''] : [];
  });
}

/** citty gives absent booleans a value; only what stands on the command line counts. */
function wasGiven(name: string, words: readonly string[]): boolean {
  return words.some(
    (word) => word === `--${name}` || word.startsWith(`--${name}=`) || word === `--no-${name}`,
  );
}

function checkFlags(definition: SubcommandDefinition, words: readonly string[]): void {
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
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
    // The parser would take every other value for "true": --allow-insecure=no.
    if (flag?.type === 'boolean' && !['true', 'false', undefined].includes(inline)) {
      throw usage(definition, `--${name} is true or false`);
    }
    if (flag?.type === 'string' && inline === undefined) {
      at += 1;
      const value = words[at];
      if (value === undefined || (value.startsWith('--') && value !== '--')) {
        throw usage(definition, `--${name} needs a value`);
      }
    }
  }
}

function checkPositionals(definition: SubcommandDefinition, positionals: readonly string[]): void {
  const extra = positionals[definition.positionals.length];
  if (extra !== undefined && Object.hasOwn(definition.flags, 'token-file')) {
    // It is not repeated: it may be the token itself.
    throw new AgentError('USAGE', `"${definition.name}" takes flags, and no other word`, {
      hint: 'If it was a token: give it in a file, with --token-file FILE',
    });
  }
  if (extra !== undefined) {
    throw usage(definition, `Cannot use "${extra}": "${definition.name}" takes no such word`);
  }
  const missing = definition.positionals[positionals.length];
  if (missing?.required) {
    throw usage(definition, `"${definition.name}" needs ${missing.name}: ${missing.description}`);
  }
}

function unknownFlag(definition: SubcommandDefinition, word: string, name: string): AgentError {
  const suggestion = didYouMean(name, Object.keys(definition.flags));
  return new AgentError('UNKNOWN_FLAG', `"${definition.name}" has no flag ${word}`, {
    hint:
      suggestion === undefined
        ? `See: pipeops-agent ${definition.name} --help`
        : `Did you mean --${suggestion}? See: pipeops-agent ${definition.name} --help`,
  });
}

function usage(definition: SubcommandDefinition, message: string): AgentError {
  return new AgentError('USAGE', message, {
    hint: `See: pipeops-agent ${definition.name} --help`,
  });
}
