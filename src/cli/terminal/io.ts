import { fstatSync, openSync } from 'node:fs';
import type { ReadStream } from 'node:tty';
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { settledWithin } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { textOutput } from './text-output.ts';

/** Standard streams and the terminal, as a subcommand may use them. */
export interface TerminalIo {
  /** The output that was asked for, and nothing else. Ends with its own newline. */
  stdout(text: string): void;
  /** Information for a person. */
  stderr(text: string): void;
  /**
   * Resolves once everything written to both has left this process.
   * @throws AgentError FILE_ACCESS
   */
  flush(): Promise<void>;
  readonly stdinIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Width of the terminal on standard output; undefined where that is not a terminal. */
  readonly columns: number | undefined;
  /**
   * Reads all of standard input.
   * @throws AgentError USAGE when it is longer than the limit
   */
  readStdin(limitBytes: number): Promise<string>;
  /**
   * Asks on /dev/tty without echo. Undefined where there is no terminal: the caller then names the
   * flag that gives the answer.
   * @throws AgentError INTERRUPTED
   */
  askSecret(question: string): Promise<string | undefined>;
  /** Asks a yes/no question on /dev/tty; undefined where there is no terminal. @throws AgentError INTERRUPTED */
  confirm(question: string): Promise<boolean | undefined>;
}

/**
 * How long the end waits for a reader of standard error: a log that hangs must not keep a daemon
 * alive.
 */
const STDERR_WAIT_MS = 2_000;
/** Longest answer that is read from a terminal, characters. */
const ANSWER_LENGTH_MAX = 8 * 1024;

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES = ['\u007f', '\b'];

/**
 * The real streams of this process.
 * @param streams evaluated only when needed: it makes Bun load Node's streams
 */
export function systemTerminalIo(
  deps: { readonly clock: Clock },
  streams: Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>,
): TerminalIo {
  const stdout = textOutput(Bun.stdout, 'standard output');
  const stderr = textOutput(Bun.stderr, 'standard error');
  return {
    stdout: stdout.write,
    stderr: stderr.write,
    flush: async () => {
      // There is no other place to report that standard error cannot be written.
      const told = stderr.flush().catch(() => undefined);
      await settledWithin(deps.clock, STDERR_WAIT_MS, undefined, told);
      await stdout.flush();
    },
    get stdinIsTty() {
      return streams.stdin.isTTY === true;
    },
    get stderrIsTty() {
      return streams.stderr.isTTY === true;
    },
    get columns() {
      // Only where it may be a terminal: this look loads Node's streams.
      return fstatSync(1).isCharacterDevice() ? streams.stdout.columns : undefined;
    },
    readStdin: (limitBytes) => readAll(streams.stdin, limitBytes),
    askSecret: (question) => ask(stderr.write, question, false),
    confirm: async (question) => {
      const answer = await ask(stderr.write, `${question} [y/N] `, true);
      return answer === undefined ? undefined : /^y(es)?$/i.test(answer.trim());
    },
  };
}

async function readAll(stream: AsyncIterable<unknown>, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Uint8Array);
    length += bytes.length;
    if (length > limitBytes) {
      throw new AgentError(
        'USAGE',
        `Cannot read standard input: it is longer than ${limitBytes} bytes`,
        { hint: 'Check what is piped in: a token or a policy is shorter' },
      );
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Asks on /dev/tty, which also works in `curl … | sh`, where standard input is the script. */
async function ask(
  write: (text: string) => void,
  question: string,
  echo: boolean,
): Promise<string | undefined> {
  const { ReadStream } = await import('node:tty');
  let tty: ReadStream;
  try {
    tty = new ReadStream(openSync('/dev/tty', 'r+'));
  } catch {
    return undefined; // No terminal: the caller names the flag that answers the question.
  }
  try {
    tty.setRawMode(true); // First: what is typed at once must not be shown, nor end the program.
    write(question);
    return await readLine(tty, write, echo);
  } catch (thrown) {
    throw thrown instanceof AgentError ? thrown : terminalGone();
  } finally {
    resetMode(tty);
    tty.destroy();
    write('\n');
  }
}

function resetMode(tty: ReadStream): void {
  try {
    tty.setRawMode(false);
  } catch {
    // It is gone, and its mode with it.
  }
}

/** Its window was closed, or its connection broke. */
function terminalGone(): AgentError {
  return interrupted('at a question: the terminal is gone');
}

async function readLine(
  tty: ReadStream,
  write: (text: string) => void,
  echo: boolean,
): Promise<string> {
  let line = '';
  for await (const chunk of tty) {
    for (const character of String(chunk)) {
      if (character === '\r' || character === '\n' || character === CTRL_D) {
        return line;
      }
      if (character === CTRL_C) {
        throw interrupted('at a question');
      }
      if (BACKSPACES.includes(character)) {
        line = line.slice(0, -1);
      } else if (line.length < ANSWER_LENGTH_MAX) {
        line += character;
        write(echo ? character : '');
      }
    }
  }
  throw terminalGone(); // In raw mode Ctrl-D is a character, and ends nothing by itself.
}
