import type { CliContext } from '../../src/cli/definition/context.ts';
import type { TerminalIo } from '../../src/cli/terminal/io.ts';
import { startProgress } from '../../src/cli/terminal/progress.ts';
import type { Clock } from '../../src/core/ports.ts';

/** What a person answers; undefined where there is no terminal. */
export interface Answers {
  readonly stdin?: string | undefined;
  readonly secret?: string | undefined;
  readonly confirm?: boolean | undefined;
  /** Of the terminal; undefined where there is none. */
  readonly columns?: number | undefined;
}

/** Standard streams that are no terminal, and what was written to them so far. */
export interface CapturedTerminal {
  readonly out: { stdout: string; stderr: string };
  readonly io: TerminalIo;
  readonly progress: CliContext['progress'];
}

export function capturedTerminal(
  deps: { readonly clock: Clock },
  answers: Answers,
): CapturedTerminal {
  const out = { stdout: '', stderr: '' };
  const stderr = (text: string) => {
    out.stderr += text;
  };
  const plain = { isTty: false, columns: 80, write: stderr };
  return {
    out,
    io: {
      stdout: (text) => {
        out.stdout += text;
      },
      stderr,
      flush: async () => undefined,
      stdinIsTty: false,
      stderrIsTty: false,
      columns: answers.columns,
      readStdin: async () => answers.stdin ?? '',
      askSecret: async () => answers.secret,
      confirm: async () => answers.confirm,
    },
    progress: async (title) => startProgress(deps, plain, title),
  };
}
