import type { V1Status } from '@kubernetes/client-node';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import type { Clock } from '../../core/ports.ts';
import { type MiddleCut, middleCut } from '../../core/text/middle-cut.ts';
import { afterwards } from '../../core/waiting.ts';
import {
  CHANNELS_V4,
  CHANNELS_V5,
  type OpenChannels,
  STATUS,
  STDERR,
  STDIN,
  STDOUT,
} from '../api/channel-stream.ts';

/** Longest Status at the end of a program, bytes. */
const STATUS_LIMIT_BYTES = 64 * 1024;

export interface PodProgram {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Given to the program as a whole, then ended; undefined for none. */
  readonly stdin: string | undefined;
  /** After this the stream is closed. */
  readonly timeoutMs: number;
  /** Of each of stdout and stderr; what is longer is cut in the middle. */
  readonly outputLimitBytes: number;
  /** Secrets that must not be seen in the output. */
  readonly secrets: readonly string[];
}

/**
 * How it ended: with an exit code; because Kubernetes could not start it or lost it; after its
 * time; by the signal; or unknown, because the stream broke. After the last three it may still run:
 * Kubernetes does not end a program when nobody listens any more.
 */
export type ProgramEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'lost'; readonly reason: string };

export interface ProgramOutcome {
  readonly end: ProgramEnd;
  readonly stdout: string;
  readonly stderr: string;
  /** Some of the output was left out. */
  readonly truncated: boolean;
}

interface ExecDeps {
  readonly clock: Clock;
  readonly openChannels: OpenChannels;
}

/**
 * Runs a program in a container and waits for its end. Never repeats it.
 * @throws AgentError of `openChannels`
 */
export async function runInPod(
  deps: ExecDeps,
  program: PodProgram,
  signal: AbortSignal,
): Promise<ProgramOutcome> {
  const stdout = middleCut(program.outputLimitBytes, program.secrets);
  const stderr = middleCut(program.outputLimitBytes, program.secrets);
  const status = middleCut(STATUS_LIMIT_BYTES);
  const outputs = new Map<number, MiddleCut>([
    [STDOUT, stdout],
    [STDERR, stderr],
    [STATUS, status],
  ]);
  const ended = Promise.withResolvers<string>();
  const timeIsUp = new AbortController();
  const stream = await deps.openChannels(
    requestOf(program),
    {
      data: (channel, bytes) => outputs.get(channel)?.add(bytes),
      ended: ended.resolve,
    },
    AbortSignal.any([signal, timeIsUp.signal]),
  );
  const over = new AbortController();
  afterwards(deps.clock, program.timeoutMs, over.signal, () => timeIsUp.abort());
  if (program.stdin !== undefined) {
    stream.send(STDIN, Buffer.from(program.stdin));
    stream.closeChannel(STDIN);
  }
  const reason = await ended.promise;
  over.abort();
  const [out, err] = [stdout.result(), stderr.result()];
  const end = status.isEmpty()
    ? endWithoutStatus(reason, signal, timeIsUp.signal)
    : endOf(status.result().text);
  return { end, stdout: out.text, stderr: err.text, truncated: out.truncated || err.truncated };
}

function requestOf(program: PodProgram) {
  const { namespace, pod, container, command, stdin } = program;
  return {
    path: `${pathOfObject(KINDS.pod, { namespace, name: pod })}/exec`,
    query: [
      ['container', container],
      ['stdin', String(stdin !== undefined)],
      ['stdout', 'true'],
      ['stderr', 'true'],
      ...command.map((word) => ['command', word] as const),
    ] as const,
    // Only version 5 can end the input; without that the program would wait for more for ever.
    protocols: stdin === undefined ? [CHANNELS_V5, CHANNELS_V4] : [CHANNELS_V5],
  };
}

function endWithoutStatus(reason: string, signal: AbortSignal, timeIsUp: AbortSignal): ProgramEnd {
  if (signal.aborted) {
    return { kind: 'interrupted' };
  }
  return timeIsUp.aborted ? { kind: 'timed-out' } : { kind: 'lost', reason };
}

/** Version 4 and later: Success, or Failure with the exit code as a cause. */
function endOf(text: string): ProgramEnd {
  const status = parseStatus(text);
  if (status?.status === 'Success') {
    return { kind: 'exited', exitCode: 0 };
  }
  const cause = status?.details?.causes?.find((each) => each.reason === 'ExitCode');
  const exitCode = Number(cause?.message);
  if (Number.isInteger(exitCode)) {
    return { kind: 'exited', exitCode };
  }
  return status?.status === 'Failure'
    ? { kind: 'failed', reason: status.message ?? status.reason ?? 'it gave no reason' }
    : { kind: 'lost', reason: 'its last message is not a Status' };
}

function parseStatus(text: string): V1Status | undefined {
  try {
    return JSON.parse(text) as V1Status;
  } catch {
    return undefined;
  }
}
