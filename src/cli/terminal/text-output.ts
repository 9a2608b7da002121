import { AgentError } from '../../core/errors.ts';
import { systemCode } from '../../core/text/system-words.ts';
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
  /** Begun at once, so that texts keep their order. */
  const attempt = async (work: () => unknown) => {
    try {
      await work();
    } catch (thrown) {
      failure ??= thrown;
    }
  };
  return {
    write: (text) => {
      void attempt(() => sink.write(text));
      void attempt(() => sink.flush());
    },
    flush: async () => {
      await attempt(() => sink.flush());
      if (failure !== undefined && !(await isGone(file, failure))) {
        throw new AgentError('FILE_ACCESS', `Cannot write to ${name}: ${troubleOf(failure)}`, {
          hint: `See where ${name} leads to, and whether there is room`,
          cause: failure,
        });
      }
    },
  };
}

/** A pipe without a reader; a terminal whose window was closed, or whose connection broke. */
async function isGone(file: Bun.BunFile, thrown: unknown): Promise<boolean> {
  const code = systemCode(thrown);
  return code === 'EPIPE' || (code === 'EIO' && (await file.stat()).isCharacterDevice());
}
