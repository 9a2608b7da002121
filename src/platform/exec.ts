import { ExecaError, execa, type ResultPromise } from 'execa';
import { AgentError } from '../core/errors.ts';
import type { Exec, ExecOptions, ExecResult } from '../core/ports.ts';
import { toolPath } from '../core/tool-path.ts';

/** Output kept of each stream, bytes; a program that says more is ended. */
export const EXEC_OUTPUT_LIMIT_BYTES = 8 * 1024 * 1024;

/** Time between SIGTERM and SIGKILL. */
const KILL_GRACE_MS = 2_000;

/** What a child inherits of our environment, when set. */
const INHERITED = ['HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'] as const;

/**
 * The real Exec. Ends whole process trees: the installers we run are shells with children that
 * hold the pipes open, so ending the shell alone would wait for them for ever.
 */
export function systemExec(deps: {
  readonly env: Readonly<Record<string, string | undefined>>;
}): Exec {
  return { run: (argv, options) => run(deps.env, argv, options) };
}

async function run(
  parentEnv: Readonly<Record<string, string | undefined>>,
  argv: readonly [string, ...string[]],
  options: ExecOptions,
): Promise<ExecResult> {
  const [program, ...args] = argv;
  const env: Record<string, string> = { PATH: toolPath(parentEnv['PATH']).join(':') };
  for (const name of INHERITED) {
    const value = parentEnv[name];
    if (value !== undefined) {
      env[name] = value;
    }
  }
  const child = execa(program, args, {
    env: { ...env, ...options.env },
    extendEnv: false,
    timeout: options.timeoutMs,
    killDescendants: true,
    forceKillAfterDelay: KILL_GRACE_MS,
    maxBuffer: EXEC_OUTPUT_LIMIT_BYTES,
    buffer: options.keepsOutput ?? true,
    stripFinalNewline: true,
    reject: false,
    ...(options.stdin === undefined ? { stdin: 'ignore' as const } : { input: options.stdin }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  const lines = options.onLine === undefined ? undefined : forwardLines(child, options.onLine);
  const stopWatching = letGoInTheEnd(child, options);
  let result: Awaited<typeof child>;
  try {
    [result] = await Promise.all([child, lines]);
  } finally {
    stopWatching();
  }
  const ended: unknown = result;
  if (ended instanceof ExecaError) {
    throwIfNotAnExit(argv, options, ended);
  }
  return {
    exitCode: result.exitCode ?? 1,
    stdout: result.stdout ?? '',
    stderr: result.stderr ?? '',
  };
}

/**
 * A descendant with a session of its own outlives the end of the process group, and may hold the
 * pipes open. They are closed on our side when the time to end is over.
 * @returns a function to call when the program has ended
 */
function letGoInTheEnd(
  child: Pick<ResultPromise, 'stdout' | 'stderr'>,
  options: ExecOptions,
): () => void {
  const closePipes = () => {
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const atTimeout = setTimeout(closePipes, options.timeoutMs + KILL_GRACE_MS);
  let atAbort: ReturnType<typeof setTimeout> | undefined;
  const onAbort = () => {
    atAbort = setTimeout(closePipes, KILL_GRACE_MS);
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(atTimeout);
    clearTimeout(atAbort);
    options.signal?.removeEventListener('abort', onAbort);
  };
}

async function forwardLines(
  child: { iterable(options: { from: 'all' | 'stdout' | 'stderr' }): AsyncIterable<string> },
  onLine: NonNullable<ExecOptions['onLine']>,
): Promise<void> {
  const forward = async (from: 'stdout' | 'stderr') => {
    try {
      for await (const line of child.iterable({ from })) {
        await onLine(line);
      }
    } catch (thrown) {
      // The iterator repeats the failure of the child, which `await child` reports.
      if (!(thrown instanceof ExecaError)) {
        throw thrown;
      }
    }
  };
  await Promise.all([forward('stdout'), forward('stderr')]);
}

/** A program that ran to its own end is a result; everything else is an error. */
function throwIfNotAnExit(
  argv: readonly [string, ...string[]],
  options: ExecOptions,
  error: ExecaError,
): void {
  const program = argv[0];
  const details = { argv: [...argv] };
  if (error.timedOut) {
    throw new AgentError('TIMEOUT', `"${program}" did not finish in ${options.timeoutMs} ms`, {
      hint: `Look at what holds it up: ${lastLine(error)}`,
      details,
    });
  }
  if (error.isCanceled) {
    throw new AgentError('INTERRUPTED', `"${program}" was ended because the work was interrupted`, {
      details,
    });
  }
  if (error.code === 'ENOENT' || error.code === 'EACCES') {
    const why = error.code === 'ENOENT' ? 'it is not on this machine' : 'it may not be run';
    throw new AgentError('TOOL_MISSING', `Cannot run "${program}": ${why}`, {
      hint: `Install "${program}" or put it into PATH`,
      details,
      cause: error,
    });
  }
  if (error.exitCode === undefined || error.isMaxBuffer) {
    const why = error.isMaxBuffer ? 'it printed too much' : `signal ${error.signal ?? 'unknown'}`;
    throw new AgentError('TOOL_FAILED', `"${program}" was ended: ${why}`, {
      hint: 'Look at who ended it (journalctl -k tells of a lack of memory), then try again',
      details,
      cause: error,
    });
  }
}

function lastLine(error: ExecaError): string {
  const text = `${String(error.stdout ?? '')}\n${String(error.stderr ?? '')}`.trim();
  return text.split('\n').at(-1) || 'it printed nothing';
}
