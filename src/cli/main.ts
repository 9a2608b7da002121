import { renderError } from '../core/error-text.ts';
import { AgentError, toAgentError } from '../core/errors.ts';
import { redact } from '../core/text/redact.ts';
import { systemCode } from '../core/text/system-words.ts';
import { visibleText } from '../core/text/visible.ts';
import { BUILD } from '../core/version.ts';
import type { CliContext } from './definition/context.ts';
import { secondWordsOf } from './definition/listed.ts';
import { needsRoot, runLocked } from './definition/locked.ts';
import type { Subcommand } from './definition/subcommand.ts';
import { renderGroupHelp, renderRootHelp, renderSubcommandHelp } from './help/text.ts';
import { withOwnName } from './own-name.ts';
import { findSubcommand, SUBCOMMANDS } from './subcommands/list.ts';
import type { TerminalIo } from './terminal/io.ts';
import { renderErrorJson } from './terminal/render.ts';
import { versionAnswer } from './version-answer.ts';

/**
 * The whole program except the process itself.
 * @param words what the person typed after the program's name
 * @returns the exit code
 */
export async function runCli(given: CliContext, words: readonly string[]): Promise<number> {
  const io = await withOwnName(given, showingIo(given.io));
  const context = { ...given, io };
  try {
    const exitCode = await dispatch(context, words);
    await context.io.flush();
    return exitCode;
  } catch (thrown) {
    const error = toAgentError(thrown);
    if (error.code === 'INTERNAL' && thrown instanceof Error) {
      // A stack begins with the message, which may hold secrets from the arguments.
      context.io.stderr(redact(`${thrown.stack ?? ''}\n`));
    }
    context.io.stderr(renderError(error));
    if (words.includes('--json')) {
      context.io.stdout(renderErrorJson(error));
    }
    return error.exitCode;
  }
}

/**
 * The one place where text leaves for a terminal, whatever a control plane, a file or another
 * program put into it. Progress and log write escape sequences themselves, so they make their text
 * visible themselves.
 */
function showingIo(io: TerminalIo): TerminalIo {
  return {
    stdout: (text) => io.stdout(visibleText(text)),
    stderr: (text) => io.stderr(visibleText(text)),
    flush: () => io.flush(),
    get stdinIsTty() {
      return io.stdinIsTty; // Asked lazily: a look loads Node's streams.
    },
    get stderrIsTty() {
      return io.stderrIsTty;
    },
    get columns() {
      return io.columns;
    },
    readStdin: (limitBytes) => io.readStdin(limitBytes),
    askSecret: (question) => io.askSecret(visibleText(question)),
    confirm: (question) => io.confirm(visibleText(question)),
  };
}

async function dispatch(context: CliContext, words: readonly string[]): Promise<number> {
  const version = versionAnswer(words);
  if (version !== undefined) {
    context.io.stdout(version);
    return 0;
  }
  const asked = helpAskedFor(words);
  if (asked !== undefined) {
    context.io.stdout(await help(asked));
    return words.length === 0 ? 2 : 0;
  }
  const { entry, rest } = findSubcommand(words);
  const subcommand = await entry.load();
  const run = await subcommand.prepare(rest);
  try {
    return await runAllowed(context, subcommand, run);
  } catch (thrown) {
    throw forbidden(context, subcommand, thrown);
  }
}

async function runAllowed(
  context: CliContext,
  subcommand: Subcommand,
  run: (context: CliContext) => Promise<number>,
): Promise<number> {
  if (subcommand.needsRoot && context.uid !== 0) {
    throw needsRoot(subcommand.name, subcommand.locks === true);
  }
  return subcommand.locks === true
    ? runLocked(context, subcommand.name, () => run(context))
    : run(context);
}

/**
 * The words that help is asked about: those after `help`, or all of them without `--help`.
 * Undefined when help is not asked for; a `--help` after `--` does not count.
 */
function helpAskedFor(words: readonly string[]): readonly string[] | undefined {
  if (words.length === 0 || words[0] === 'help') {
    return words.slice(1).filter((word) => !isHelpFlag(word));
  }
  const end = words.indexOf('--');
  const options = end < 0 ? words : words.slice(0, end);
  return options.some(isHelpFlag) ? options.filter((word) => !isHelpFlag(word)) : undefined;
}

function isHelpFlag(word: string): boolean {
  return word === '--help' || word === '-h';
}

/** @throws AgentError UNKNOWN_SUBCOMMAND */
async function help(asked: readonly string[]): Promise<string> {
  const words = asked.filter((word) => word !== '--json');
  const asJson = words.length < asked.length;
  const [first] = words;
  if (first === undefined || first.startsWith('-')) {
    return asJson ? programJson() : renderRootHelp(SUBCOMMANDS, BUILD.version);
  }
  const isGroup = !Object.hasOwn(SUBCOMMANDS, first);
  if (words.length === 1 && isGroup && secondWordsOf(SUBCOMMANDS, first).length > 0) {
    return asJson ? programJson(first) : renderGroupHelp(SUBCOMMANDS, first);
  }
  const { entry } = findSubcommand(words);
  if (!asJson) {
    return renderSubcommandHelp(await entry.load(), SUBCOMMANDS);
  }
  const { describeSubcommand } = await import('./help/document.ts');
  return `${JSON.stringify(await describeSubcommand(entry), null, 2)}\n`;
}

async function programJson(first?: string): Promise<string> {
  const { describeProgram } = await import('./help/document.ts');
  return `${JSON.stringify(await describeProgram(SUBCOMMANDS, first), null, 2)}\n`;
}

/** How the system says that access is denied (errno(3)). */
const DENIED_CODES: readonly (string | undefined)[] = ['EACCES', 'EPERM'];

/** For a file that only root may read, the only useful advice is how to become root. */
function forbidden(context: CliContext, { name }: Subcommand, thrown: unknown): unknown {
  const denied =
    thrown instanceof AgentError &&
    thrown.code === 'FILE_ACCESS' &&
    DENIED_CODES.includes(systemCode(thrown.cause));
  // sudo is no advice for the daemon, which is not a person.
  if (!denied || context.uid === 0 || name === 'run') {
    return thrown;
  }
  return new AgentError(thrown.code, thrown.message, {
    hint: `Run it with sudo: sudo pipeops-agent ${name}`,
    cause: thrown,
    ...(thrown.details === undefined ? {} : { details: thrown.details }),
  });
}
