/**
 * The peers in Go of test/peers/http: a fast API server, and clients that measure. Built once for
 * each state of their sources.
 */
import { join } from 'node:path';
import { Glob } from 'bun';
import { buildOnce, contentHash } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const SOURCES = join(import.meta.dir, '../peers/http');
const BUILD_TIMEOUT_MS = 300_000;
const RUN_TIMEOUT_MS = 120_000;

export interface LoadResult {
  readonly requests: number;
  /** Of bodies. */
  readonly megabytes: number;
  readonly per_second: number;
  readonly mb_per_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly failed: number;
}

export interface WatchResult {
  readonly watches: number;
  readonly events: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly failed: number;
}

export interface ClientOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly ca?: string;
  readonly header?: string;
}

/** The path of the executable. */
export async function buildHttpPeer(): Promise<string> {
  const names = [...new Glob('*.{go,mod}').scanSync(SOURCES)].sort();
  const texts = await Promise.all(names.map((name) => Bun.file(join(SOURCES, name)).text()));
  const hash = contentHash([...names, ...texts, process.arch]);
  const directory = await buildOnce(join('http-peer', hash), async (output) => {
    await runCommand(['go', 'build', '-trimpath', '-o', join(output, 'http-peer'), '.'], {
      cwd: SOURCES,
      timeoutMs: BUILD_TIMEOUT_MS,
    });
  });
  return join(directory, 'http-peer');
}

export async function runLoad(peer: string, options: ClientOptions): Promise<LoadResult> {
  return JSON.parse(await run(peer, 'load', options)) as LoadResult;
}

export async function runWatch(peer: string, options: ClientOptions): Promise<WatchResult> {
  return JSON.parse(await run(peer, 'watch', options)) as WatchResult;
}

async function run(peer: string, mode: string, options: ClientOptions): Promise<string> {
  const argv = [
    ...[peer, mode, '--url', options.url],
    ...['--connections', String(options.connections), '--seconds', String(options.seconds)],
    ...(options.ca === undefined ? [] : ['--ca', options.ca]),
    ...(options.header === undefined ? [] : ['--header', options.header]),
  ];
  return (await runCommand(argv, { timeoutMs: RUN_TIMEOUT_MS })).stdout;
}

/** Starts a program and reads the first line that it prints. */
export async function startPeer(
  argv: readonly string[],
): Promise<{ readonly line: string; readonly pid: number } & AsyncDisposable> {
  const child = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  const reader = child.stdout.getReader();
  let text = '';
  while (!text.includes('\n')) {
    const { value, done } = await reader.read();
    if (done) {
      throw new Error(`${argv[0]} ended before it printed a line`);
    }
    text += Buffer.from(value).toString();
  }
  return {
    line: text.split('\n')[0] ?? '',
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await child.exited;
    },
  };
}
