import { AgentError, toAgentError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { BUILD } from '../core/version.ts';
import { LOCK_FILE } from '../host/paths.ts';
import type { CliContext } from './context.ts';
import { renderRootHelp, renderSubcommandHelp } from './help.ts';
import { renderError, renderErrorJson } from './render.ts';
import { findSubcommand } from './subcommands.ts';

/**
 * The whole program but for the process itself.
 * @param words what the person typed behind the program's name
 * @returns the exit code
 */
export async function runCli(context: CliContext, words: readonly string[]): Promise<number> {
  try {
    const exitCode = await dispatch(context, words);
    await context.io.flush();
    return exitCode;
  } catch (thrown) {
    const error = toAgentError(thrown);
    if (error.code === 'INTERNAL' && thrown instanceof Error) {
      // A stack begins with the message, which may hold what it was called with.
      context.io.stderr(redact(`${thrown.stack ?? ''}\n`));
    }
    context.io.stderr(renderError(error));
    if (words.includes('--json')) {
      context.io.stdout(renderErrorJson(error));
    }
    return error.exitCode;
  }
}

async function dispatch(context: CliContext, words: readonly string[]): Promise<number> {
  const first = words[0];
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    context.io.stdout(renderRootHelp(BUILD.version));
    return first === undefined ? 2 : 0;
  }
  if (first === '--version') {
    context.io.stdout(`${BUILD.version}\n`);
    return 0;
  }
  const { entry, rest } = findSubcommand(words);
  const definition = await entry.load();
  if (rest.includes('--help') || rest.includes('-h')) {
    context.io.stdout(renderSubcommandHelp(definition));
    return 0;
  }
  // The parser is loaded only now: neither --help nor --version needs it.
  const { parseSubcommandArgs } = await import('./define-subcommand.ts');
  const args = parseSubcommandArgs(definition, rest);
  if (definition.needsRoot && context.uid !== 0) {
    throw new AgentError('NOT_ROOT', `"${definition.name}" changes this machine and needs root`, {
      hint: `Run it with sudo: sudo pipeops-agent ${definition.name}`,
    });
  }
  return definition.locks === true
    ? runLocked(context, definition.name, () => definition.run(context, args))
    : definition.run(context, args);
}

async function runLocked(
  context: CliContext,
  name: string,
  run: () => Promise<number>,
): Promise<number> {
  const lock = context.lock(LOCK_FILE, `${name} (pid ${process.pid})`);
  if ('heldBy' in lock) {
    throw new AgentError('BUSY', `Cannot run "${name}" now: ${lock.heldBy} is running`, {
      hint: 'Wait until it has ended, then run the same command again',
    });
  }
  try {
    return await run();
  } finally {
    lock.release();
  }
}
