/** Runs programs on the host, with limits on time and output. */

/** Output kept of each stream, bytes; a program that says more is ended. */
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;

/** How long output may still come after the program has ended: a daemon it left may hold the pipe. */
const DRAIN_GRACE_MS = 1_000;

/** When the caller names no limit. */
export const DEFAULT_TIMEOUT_MS = 60_000;

export interface CommandOptions {
  readonly stdin?: string | Uint8Array;
  readonly timeoutMs?: number;
  /** Instead of `timeoutMs`: as long as it takes, but not silent for longer than this. */
  readonly silenceMs?: number;
  /** Hears each line of output as it comes. */
  readonly heard?: (line: string) => void;
  /** The whole environment of the program; without it, ours is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Throw when the program does not exit with 0. Default true. */
  readonly check?: boolean;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end.
 * @throws Error when it takes longer than `timeoutMs`, or (with `check`) exits with anything but 0.
 */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.silenceMs ?? options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const child = Bun.spawn([...argv], {
    stdin: options.stdin === undefined ? 'ignore' : new Blob([options.stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
    ...(options.silenceMs === undefined ? { timeout: timeoutMs } : {}),
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_LIMIT_BYTES,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const { silenceMs, heard } = options;
  const silence =
    silenceMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), silenceMs);
  const eachLine = (line: string) => {
    silence?.refresh();
    heard?.(line);
  };
  const listener = silence === undefined && heard === undefined ? undefined : eachLine;
  const stdout = collect(child.stdout, listener);
  const stderr = collect(child.stderr, listener);
  const exitCode = await child.exited;
  clearTimeout(silence);
  await settledWithin(DRAIN_GRACE_MS, [stdout.done, stderr.done]);
  const result = { exitCode, stdout: stdout.text(), stderr: stderr.text() };
  if (child.signalCode === 'SIGKILL') {
    const limit = `${timeoutMs} ms${silenceMs === undefined ? '' : ' of silence'}`;
    throw new Error(
      `'${argv.join(' ')}' was ended after ${limit} or too much output\n${tail(result)}`,
    );
  }
  if ((options.check ?? true) && exitCode !== 0) {
    throw new Error(`'${argv.join(' ')}' exited with ${exitCode}\n${tail(result)}`);
  }
  return result;
}

/** The end of what a program said, for an error message. */
export function tail(result: CommandResult): string {
  const lines = `${result.stdout}\n${result.stderr}`.split('\n').filter((line) => line !== '');
  return lines.slice(-20).join('\n');
}

async function settledWithin(limitMs: number, work: readonly Promise<void>[]): Promise<void> {
  const { promise: timeUp, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([Promise.all(work), timeUp]);
  clearTimeout(timer);
}

function collect(
  stream: ReadableStream<Uint8Array>,
  heard: ((line: string) => void) | undefined,
): { done: Promise<void>; text(): string } {
  const chunks: Uint8Array[] = [];
  const decoder = new TextDecoder();
  let line = '';
  const read = async () => {
    for await (const chunk of stream) {
      chunks.push(chunk);
      if (heard === undefined) {
        continue;
      }
      const lines = `${line}${decoder.decode(chunk, { stream: true })}`.split('\n');
      line = lines.pop() ?? '';
      lines.forEach(heard);
    }
  };
  return { done: read(), text: () => Buffer.concat(chunks).toString('utf8') };
}
