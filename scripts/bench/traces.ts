/**
 * What traces cost: processor time of a daemon for a proxied request, with them and without, in turn.
 * A collector takes the spans.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { START_MS } from '../../src/daemon/idle-memory.ts';
import { renderKubeconfig } from '../../src/protocol/files/kubeconfig.ts';
import { startFakeKubernetes } from '../../test/support/fake-kubernetes.ts';
import { waitUntil } from '../../test/vm/wait-until.ts';
import type { BenchCase } from './bench-case.ts';
import { threadsMs } from './processor-time.ts';
import { median, round } from './start/numbers.ts';

const ROUNDS = 45;
const REQUESTS = 2_000;
const AT_ONCE = 8;
const READY_MS = 30_000;
/** Of the processor time without traces: as it is set at first, and where each request is a span. */
const RATIO_MAX = { usual: 1.05, all: 2 };
/** Of a caller that traces: such a request always is a span. */
const TRACED = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
const PATH = '/proxy/api/v1/namespaces/none';

export async function benchTraces(executable: string): Promise<readonly BenchCase[]> {
  await using kubernetes = await startFakeKubernetes();
  const collector = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
  const endpoint = `http://127.0.0.1:${collector.port}/v1/traces`;
  const start = (config: string) => startDaemon(executable, kubernetes, config);
  const without = await start('');
  const usual = await start(`traces: {endpoint: "${endpoint}"}\n`);
  const all = await start(`traces: {endpoint: "${endpoint}", request_percent: 100}\n`);
  const daemons = [without, usual, all];
  try {
    await Bun.sleep(START_MS + 1_000);
    for (const daemon of [...daemons, ...daemons]) {
      await daemon.work(TRACED); // Makes its compiler eager, also for spans.
    }
    const costs: number[][] = [[], [], []];
    for (let number = 0; number < ROUNDS; number += 1) {
      for (const [index, daemon] of daemons.entries()) {
        costs[index]?.push(await daemon.work());
      }
    }
    const [none = [], ofUsual = [], ofAll = []] = costs;
    return [
      beside('a request with traces on', ofUsual, none, RATIO_MAX.usual),
      beside('a request that is traced', ofAll, none, RATIO_MAX.all),
    ];
  } finally {
    await Promise.all(daemons.map((each) => each.stop()));
    collector.stop(true);
  }
}

/** By the ratio of each round: a busy machine is as busy for both. */
function beside(
  name: string,
  own: readonly number[],
  others: readonly number[],
  ratioMax: number,
): BenchCase {
  const ratio = median(own.map((each, round) => each / (others[round] ?? Number.NaN)));
  const [ours, peer] = [median(own), median(others)];
  return {
    ...{ case: `${name}, processor time`, unit: 'µs', ours },
    ...{ peer, peer_name: 'without traces', ratio },
    ...{ target: round(peer * ratioMax), met: ratio <= ratioMax },
  };
}

async function startDaemon(
  executable: string,
  { url: server, ca, token }: { readonly url: string; readonly ca: string; readonly token: string },
  config: string,
) {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-bench-'));
  await Bun.write(join(directory, 'kubeconfig'), renderKubeconfig('bench', { server, ca, token }));
  await Bun.write(join(directory, 'config.yaml'), `http: {port: 0, tls_port: 0}\n${config}`);
  const child = Bun.spawn([executable, 'run', '--config', join(directory, 'config.yaml')], {
    env: { STATE_DIRECTORY: directory, RUNTIME_DIRECTORY: directory },
    ...{ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  });
  const unix = join(directory, 'agent.sock');
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://agent${path}`, { unix, headers });
    await answer.text();
    return answer.ok;
  };
  await waitUntil('the daemon answers', READY_MS, () => ask('/health').catch(() => false));
  return {
    /** @returns microseconds of processor time for each request */
    work: async (headers?: Record<string, string>): Promise<number> => {
      const before = await threadsMs(child.pid);
      let left = REQUESTS;
      const worker = async () => {
        while (left > 0) {
          left -= 1;
          await ask(PATH, headers);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      return round((((await threadsMs(child.pid)) - before) / REQUESTS) * 1_000);
    },
    stop: async () => {
      child.kill('SIGTERM');
      await child.exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
