/** `--progress-file`: how far it is, for programs that watch an installation nobody sits at. */
import { type AgentError, toAgentError } from '../../core/errors.ts';
import type { Clock, Files } from '../../core/ports.ts';
import { secondsOf } from '../../core/spent.ts';
import { redact } from '../../core/text/redact.ts';
import type { StepReport } from '../../host/engine/apply.ts';

/** Whoever watches need not be root; no secret is in it. */
const MODE = 0o644;
const PERCENT_WHOLE = 100;

/** One line of the file. A promise: fields are only added. */
export interface ProgressLine {
  readonly v: 1;
  /** ISO time. */
  readonly time: string;
  /** Id of a step, as in `--dry-run --json`; of the whole run its subcommand. */
  readonly step: string;
  /** `kept`: it was in place already. */
  readonly state: StepReport['state'];
  /** How long it took; null where it only begins. */
  readonly seconds: number | null;
  /** Of the whole run, by the number of steps that are over. */
  readonly percent: number;
  /** Of a run that failed; null in every other line. */
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
    readonly exit_code: number;
  } | null;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly io: { stderr(text: string): void };
}

export interface ProgressFile {
  readonly report: (report: StepReport) => Promise<void>;
  /** Runs the work, and writes how it began and how it ended. */
  follow(work: () => Promise<number>): Promise<number>;
}

/** @param path where it is written, beginning anew; undefined for nowhere */
export function progressFile(deps: Deps, whole: string, path: string | undefined): ProgressFile {
  if (path === undefined) {
    return { report: async () => undefined, follow: (work) => work() };
  }
  let percent = 0;
  let stepBegunAt = 0;
  let isTold = false;
  const write = async (
    {
      step,
      state,
      seconds = null,
      error = null,
    }: Partial<ProgressLine> & Pick<ProgressLine, 'step' | 'state'>,
    keeps = true,
  ) => {
    const time = deps.clock.now().toISOString();
    const line: ProgressLine = { v: 1, time, step, state, seconds, percent, error };
    try {
      const file = await deps.files.growFile(path, { mode: MODE, keeps });
      await file.append(Buffer.from(`${JSON.stringify(line)}\n`));
      await file.close();
    } catch (thrown) {
      // What is installed counts more than who watches; said once.
      const { message } = toAgentError(thrown);
      deps.io.stderr(isTold ? '' : `--progress-file is not written: ${message}\n`);
      isTold = true;
    }
  };
  return {
    report: async ({ id, state, seconds, over, of }) => {
      const now = deps.clock.monotonic();
      stepBegunAt = state === 'begun' ? now : stepBegunAt;
      const took = seconds ?? (state === 'begun' ? null : secondsOf(now - stepBegunAt));
      percent = Math.floor((over / of) * (PERCENT_WHOLE - 1));
      await write({ step: id, state, seconds: took });
    },
    follow: async (work) => {
      const startedAt = deps.clock.monotonic();
      const seconds = () => secondsOf(deps.clock.monotonic() - startedAt);
      await write({ step: whole, state: 'begun' }, false);
      try {
        const exitCode = await work();
        percent = PERCENT_WHOLE;
        await write({ step: whole, state: 'done', seconds: seconds() });
        return exitCode;
      } catch (thrown) {
        const error = lineOf(toAgentError(thrown));
        await write({ step: whole, state: 'failed', seconds: seconds(), error });
        throw thrown;
      }
    },
  };
}

function lineOf({ code, message, hint, exitCode }: AgentError): ProgressLine['error'] {
  const told = hint === undefined ? null : redact(hint);
  return { code, message: redact(message), hint: told, exit_code: exitCode };
}
