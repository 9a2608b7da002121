/**
 * The measured process of status-memory.ts: follows the API at URL and reports on it, the agent's
 * way (`ours`) or the naive way (`naive`: client-node's informer over whole pods). Prints one line
 * of JSON when it has been idle, but for the changes that come in, for SECONDS.
 * `bun status-side.ts ours|naive URL PODS SECONDS`
 */
import type { V1Pod } from '@kubernetes/client-node';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import { sharedFollowing } from '../../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { lineLog } from '../../../src/platform/log.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import { statusSource } from '../../../src/reporting/status-source.ts';

export interface StatusSideReport {
  readonly syncMs: number;
  readonly reportBytes: number;
  readonly rssMib: number;
  /** Largest since the start (VmHWM). */
  readonly peakMib: number;
  /**
   * Longest stretch without a turn of the event loop, milliseconds of CPU time of its own thread:
   * what others on the machine take from us in between does not count.
   */
  readonly stallMs: number;
}

/** A timer that should come this often shows for how long the event loop was busy. */
const TICK_MS = 1;
const LISTED_POLL_MS = 20;

const [, , way, url = '', pods, seconds] = Bun.argv;
const never = new AbortController().signal;
const began = performance.now();
const stalls = watchStalls();
const report = way === 'ours' ? await ours(url, Number(pods)) : await naive(url);
await Bun.sleep(Number(seconds) * 1_000);
const status = await Bun.file('/proc/self/status').text();
const memory = (name: string) =>
  Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
const side: StatusSideReport = {
  ...report,
  rssMib: memory('VmRSS'),
  peakMib: memory('VmHWM'),
  stallMs: stalls.longestMs(),
};
console.log(JSON.stringify(side));
process.exit(0);

async function ours(server: string, wanted: number) {
  const log = lineLog(
    { clock: systemClock },
    {
      level: () => 'warn',
      format: 'text',
      journal: false,
      write: (line) => process.stderr.write(line),
    },
  );
  const current = async () => ({ server, ca: '', token: 'bench' });
  const credentials = { current, reload: () => undefined };
  const client = kubernetesClient({ clock: systemClock, http: systemHttp, credentials });
  const { source, service } = statusSource({
    clock: systemClock,
    random: systemRandom,
    http: systemHttp,
    log,
    credentials,
    client,
    follow: sharedFollowing({ clock: systemClock, random: systemRandom, log, client }),
  });
  await service.start(never);
  while (source.summary().pods < wanted) {
    await Bun.sleep(LISTED_POLL_MS);
  }
  const syncMs = Math.round(performance.now() - began);
  let reportBytes = 0;
  for await (const part of await source.reports().next(never)) {
    reportBytes += JSON.stringify(part).length;
    // As in a session: one message has left before the next one is made.
    await Bun.sleep(0);
  }
  return { syncMs, reportBytes };
}

async function naive(server: string) {
  const { KubeConfig, ListWatch, Watch } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'bench', server, skipTLSVerify: true }, // Plain HTTP is refused without it.
    { name: 'bench', token: 'bench' },
  );
  const list = async () => (await (await fetch(`${server}/api/v1/pods`)).json()) as never;
  const informer = new ListWatch<V1Pod>('/api/v1/pods', new Watch(config), list);
  informer.on('error', () => undefined);
  await informer.start();
  const syncMs = Math.round(performance.now() - began);
  return { syncMs, reportBytes: JSON.stringify(informer.list()).length };
}

function watchStalls() {
  let longestMs = 0;
  let before = threadCpuMs();
  setInterval(() => {
    const now = threadCpuMs();
    longestMs = Math.max(longestMs, now - before);
    before = now;
  }, TICK_MS);
  return { longestMs: () => Math.round(longestMs * 10) / 10 };
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
