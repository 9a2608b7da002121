/** A shell on a terminal, and somebody who types: for what only a real line editor shows. */
import { until } from './until.ts';

export interface TypedShell extends AsyncDisposable {
  /** Types keys as they are: `\t`, `\n`. */
  type(keys: string): void;
  /** Resolves once the terminal has shown it. */
  shown(text: string): Promise<void>;
}

/** Characters of the terminal that are kept. */
const SCREEN_LENGTH_MAX = 256 * 1024;

/** @param argv the shell, interactive and without settings of its own */
export function typedShell(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): TypedShell {
  let screen = '';
  const decoder = new TextDecoder();
  const shell = Bun.spawn([...argv], {
    env: { PATH: process.env['PATH'] ?? '', TERM: 'dumb', ...env },
    terminal: {
      cols: 200,
      rows: 50,
      data: (_terminal, bytes) => {
        screen = (screen + decoder.decode(bytes, { stream: true })).slice(-SCREEN_LENGTH_MAX);
      },
    },
  });
  return {
    type: (keys) => void shell.terminal?.write(keys),
    shown: (text) => until(`the terminal shows ${text}`, () => screen.includes(text)),
    [Symbol.asyncDispose]: async () => {
      shell.kill('SIGKILL');
      await shell.exited;
      shell.terminal?.close();
    },
  };
}
