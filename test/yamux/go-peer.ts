/**
 * The peers in Go (test/peers/yamux): a gateway that drives scenarios, and an agent to compare with.
 * Built once for each state of their sources; the first build needs Go and the Go module proxy.
 */
import { join } from 'node:path';
import { Glob } from 'bun';
import { buildOnce, contentHash } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const SOURCES = join(import.meta.dir, '../peers/yamux');
const BUILD_TIMEOUT_MS = 300_000;
const LINE_BYTES_MAX = 1024 * 1024;

/** Ports of the gateway's own services on loopback; test/peers/yamux/targets.go says what each does. */
export interface GatewayTargets {
  readonly echo: number;
  readonly sink: number;
  readonly source: number;
  readonly stall: number;
  readonly close: number;
  readonly reset: number;
  readonly refused: number;
}

export type GatewayAnswer = Readonly<Record<string, unknown>>;

export interface GoGateway extends AsyncDisposable {
  /** Of its WebSocket. */
  readonly url: string;
  readonly targets: GatewayTargets;
  readonly pid: number;
  /** Runs one scenario of test/peers/yamux/scenarios.go. @throws Error with its text */
  ask(scenario: string, parameters?: Readonly<Record<string, unknown>>): Promise<GatewayAnswer>;
}

/** The path of the executable. */
export async function buildYamuxPeer(): Promise<string> {
  const names = [...new Glob('*.{go,mod,sum}').scanSync(SOURCES)].sort();
  const texts = await Promise.all(names.map((name) => Bun.file(join(SOURCES, name)).text()));
  const directory = await buildOnce(
    join('yamux-peer', contentHash([...names, ...texts, process.arch])),
    async (output) => {
      await runCommand(['go', 'build', '-trimpath', '-o', join(output, 'yamux-peer'), '.'], {
        cwd: SOURCES,
        timeoutMs: BUILD_TIMEOUT_MS,
      });
    },
  );
  return join(directory, 'yamux-peer');
}

export async function startGoGateway(
  options: { readonly tlsCert?: string; readonly tlsKey?: string } = {},
): Promise<GoGateway> {
  const tls =
    options.tlsCert === undefined
      ? []
      : ['--tls-cert', options.tlsCert, '--tls-key', options.tlsKey ?? ''];
  const child = Bun.spawn([await buildYamuxPeer(), 'gateway', ...tls], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const lines = readLines(child.stdout);
  const next = async (): Promise<GatewayAnswer> => {
    const line = await lines.next();
    if (line.done === true) {
      throw new Error('The gateway ended');
    }
    return JSON.parse(line.value);
  };
  const { url, targets } = await next();
  return {
    url: String(url),
    targets: targets as GatewayTargets,
    pid: child.pid,
    ask: async (scenario, parameters = {}) => {
      child.stdin.write(`${JSON.stringify({ do: scenario, ...parameters })}\n`);
      child.stdin.flush();
      const answer = await next();
      if (answer['error'] !== undefined) {
        throw new Error(`${scenario}: ${answer['error']}`);
      }
      return answer;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      child.kill('SIGTERM');
      await child.exited;
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > LINE_BYTES_MAX) {
      throw new Error('The gateway says too much');
    }
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
