import { AgentError } from '../../core/errors.ts';
import { troubleOf } from '../../core/trouble.ts';

/** A standard stream that text is written to. */
export interface TextOutput {
  /** Never fails: `flush` reports what went wrong. */
  write(text: string): void;
  /**
   * Resolves once all text has left this process, or its reader has gone, having seen enough.
   * @throws AgentError FILE_ACCESS when it could not be written, as on a full disk
   */
  flush(): Promise<void>;
}

/**
 * A sink of Bun, not `process.stdout`: that loads Node's streams (8 ms, 4 MiB), and when the
 * process exits, it cuts off what a slow pipe has not yet taken.
 */
export function textOutput(file: Bun.BunFile, name: string): TextOutput {
  const sink = file.writer();
  let failure: unknown;
  const push = async () => {
    try {
      await sink.flush();
    } catch (thrown) {
      failure ??= thrown;
    }
  };
  return {
    write: (text) => {
      try {
        sink.write(text);
      } catch (thrown) {
        failure ??= thrown;
      }
      void push();
    },
    flush: async () => {
      await push();
      if (failure !== undefined && !isGone(failure)) {
        throw new AgentError('FILE_ACCESS', `Cannot write to ${name}: ${troubleOf(failure)}`, {
          hint: `See where ${name} leads to, and whether there is room`,
          cause: failure,
        });
      }
    },
  };
}

function isGone(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPIPE';
}
