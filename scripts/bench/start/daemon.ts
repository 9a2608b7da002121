/**
 * The daemon as it is in the field: registered, and following a cluster. How soon it answers, and what
 * it holds when it has been idle for minutes: what is mapped, its share of that, what is its own alone,
 * and of that what is no page of a file, which the system could not just drop.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControlPlane } from '../../../test/support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../../test/support/fake-kubernetes.ts';
import type { BenchCase } from '../bench-case.ts';
import { threadsMs } from '../processor-time.ts';
import { median, round } from './numbers.ts';

const RUNS = 25;
const POLL_MS = 1;
/** The last run idles: it is looked at when it has calmed down, and minutes later. */
const CALM_MS = 60_000;
const IDLE_MS = 4 * 60_000;
const TOKEN = 'bench-token';
/** The existing agent in Go, registered and idle, measured once on a machine of two processors. */
const PEER = { name: 'existing agent in Go (RSS, noted)', rssMib: 37 };
const TARGETS = {
  ...{ healthMs: 40, cpuMs: 60, rssMib: 50, anonymousMib: 15, growthMib: 1 },
  /** Of one processor. */
  idlePercent: 0.3,
};

interface Memory {
  readonly rss: number;
  readonly pss: number;
  readonly own: number;
  readonly anonymous: number;
}

interface Measured {
  readonly healthMs: number;
  /** Processor time of all its threads until then: a busy machine changes it less. */
  readonly cpuMs: number;
  readonly calm?: Memory;
  readonly idle?: Memory;
  /** Processor time between the two looks, of one processor. */
  readonly idlePercent?: number;
}

export async function benchDaemon(executable: string): Promise<readonly BenchCase[]> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-bench-'));
  await using controlPlane = startControlPlane({ token: TOKEN });
  await using kubernetes = await startFakeKubernetes();
  const runs: Measured[] = [];
  try {
    await prepare(directory, kubernetes);
    for (let run = 1; run <= RUNS; run += 1) {
      runs.push(await oneRun(executable, directory, controlPlane.url, run === RUNS));
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const health = median(runs.map(({ healthMs }) => healthMs));
  const cpu = median(runs.map(({ cpuMs }) => cpuMs));
  return [
    below('start to /health', 'ms', health, TARGETS.healthMs),
    below('start to /health, processor time', 'ms', cpu, TARGETS.cpuMs),
    ...memoryCases(runs.at(-1)),
  ];
}

function memoryCases(
  { calm, idle, idlePercent = 0 }: Measured = { healthMs: 0, cpuMs: 0 },
): readonly BenchCase[] {
  if (calm === undefined || idle === undefined) {
    return [];
  }
  const ratio = round(idle.rss / PEER.rssMib);
  return [
    {
      ...below('idle memory, mapped (RSS)', 'MiB', idle.rss, TARGETS.rssMib),
      ...{ peer: PEER.rssMib, peer_name: PEER.name, ratio },
    },
    below('idle memory, its share (PSS)', 'MiB', idle.pss, TARGETS.rssMib),
    below('idle memory, its own alone (private)', 'MiB', idle.own, TARGETS.rssMib),
    below('idle memory, of no file (anonymous)', 'MiB', idle.anonymous, TARGETS.anonymousMib),
    below('idle memory, growth in 4 min', 'MiB', round(idle.rss - calm.rss), TARGETS.growthMib),
    below('idle processor time', '% of a processor', idlePercent, TARGETS.idlePercent),
  ];
}

async function prepare(directory: string, { url, ca, token }: FakeKubernetes): Promise<void> {
  const cluster = { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  const kubeconfig = {
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'bench', user: { token } }],
  };
  await Bun.write(join(directory, 'kubeconfig'), JSON.stringify(kubeconfig));
  await Bun.write(join(directory, 'credentials/control-plane-token'), TOKEN);
}

async function writeConfig(directory: string, url: string, port: number): Promise<string> {
  const path = join(directory, 'config.yaml');
  const http = `http: {port: ${port}, tls_port: ${freePort()}}\n`;
  await writeFile(path, `control_plane: {url: "${url}"}\n${http}`);
  return path;
}

async function oneRun(
  executable: string,
  directory: string,
  url: string,
  idles: boolean,
): Promise<Measured> {
  const port = freePort();
  const config = await writeConfig(directory, url, port);
  const began = performance.now();
  const child = Bun.spawn([executable, 'run', '--config', config], {
    env: { STATE_DIRECTORY: directory, RUNTIME_DIRECTORY: directory },
    ...{ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  });
  try {
    while (!(await answers(port))) {
      if (child.exitCode !== null) {
        throw new Error(`the daemon ended with ${child.exitCode} before it answered`);
      }
      await Bun.sleep(POLL_MS);
    }
    const soon = { healthMs: performance.now() - began, cpuMs: await threadsMs(child.pid) };
    if (!idles) {
      return soon;
    }
    await Bun.sleep(CALM_MS);
    const calm = await memoryOf(child.pid);
    const calmCpuMs = await threadsMs(child.pid);
    await Bun.sleep(IDLE_MS);
    const idlePercent = ((await threadsMs(child.pid)) - calmCpuMs) / (IDLE_MS / 100);
    return { ...soon, calm, idle: await memoryOf(child.pid), idlePercent };
  } finally {
    child.kill('SIGTERM');
    await child.exited;
  }
}

/** proc(5), "/proc/pid/smaps_rollup". */
async function memoryOf(pid: number): Promise<Memory> {
  const rollup = await Bun.file(`/proc/${pid}/smaps_rollup`).text();
  const mib = (name: string) =>
    round(Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(rollup)?.[1]) / 1_024);
  return {
    rss: mib('Rss'),
    pss: mib('Pss'),
    own: round(mib('Private_Clean') + mib('Private_Dirty')),
    anonymous: mib('Anonymous'),
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok;
  } catch {
    return false; // Not listening yet.
  }
}

function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
  const { port } = server;
  server.stop(true);
  return port ?? 0;
}

function below(name: string, unit: BenchCase['unit'], ours: number, target: number): BenchCase {
  return { case: name, unit, ours, target, met: ours <= target };
}
