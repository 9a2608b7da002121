/** How fast the compiled executable starts, and what it needs idle. The peer is bun itself. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControlPlane } from '../../test/support/control-plane/control-plane.ts';
import type { BenchCase } from './bench-case.ts';

const RUNS = 25;
const POLL_MS = 1;
/** The daemon is idle after its first heartbeat, status and polls. */
const IDLE_AFTER_MS = 15_000;
const TOKEN = 'bench-token';

export async function benchStart(executable: string): Promise<readonly BenchCase[]> {
  const peer = { name: 'bun -e 0', argv: [process.execPath, '-e', '0'] };
  const cases: BenchCase[] = [];
  for (const [name, args, target] of [
    ['version', ['version'], 10],
    ['--help', ['--help'], 25],
  ] as const) {
    const { ours, theirs } = await interleaved([executable, ...args], peer.argv);
    cases.push({
      case: name,
      unit: 'ms',
      ours,
      peer: theirs,
      peer_name: peer.name,
      ratio: round(ours / theirs),
      target,
      met: ours <= target,
    });
  }
  return [...cases, ...(await daemon(executable))];
}

/** Medians of alternating runs, so that a busy moment hits both. */
async function interleaved(ours: readonly string[], theirs: readonly string[]) {
  const times = { ours: [] as number[], theirs: [] as number[] };
  for (let run = 0; run < RUNS; run += 1) {
    times.ours.push(await timeOf(ours));
    times.theirs.push(await timeOf(theirs));
  }
  return { ours: median(times.ours), theirs: median(times.theirs) };
}

async function timeOf(argv: readonly string[]): Promise<number> {
  const began = performance.now();
  await Bun.spawn([...argv], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' }).exited;
  return performance.now() - began;
}

/** Start to the first answer of /health, and memory when it idles, connected. */
async function daemon(executable: string): Promise<readonly BenchCase[]> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-bench-'));
  await using controlPlane = startControlPlane({ token: TOKEN });
  const times: number[] = [];
  let memory = 0;
  try {
    for (let run = 0; run < RUNS; run += 1) {
      const last = run === RUNS - 1;
      const measured = await oneDaemon(executable, directory, controlPlane.url, last);
      times.push(measured.healthMs);
      memory = measured.memoryMib;
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const health = median(times);
  return [
    { case: 'start to /health', unit: 'ms', ours: health, target: 60, met: health <= 60 },
    { case: 'idle memory (RSS)', unit: 'MiB', ours: memory, target: 60, met: memory <= 60 },
  ];
}

async function oneDaemon(executable: string, directory: string, url: string, idle: boolean) {
  const port = freePort();
  const config = join(directory, 'config.yaml');
  await writeFile(
    config,
    `control_plane: {url: "${url}", heartbeat_interval: 2s, poll_interval: 1s}\n` +
      `http: {port: ${port}}\n`,
  );
  await Bun.write(join(directory, 'credentials/control-plane-token'), TOKEN);
  const began = performance.now();
  const child = Bun.spawn([executable, 'run', '--config', config], {
    env: { STATE_DIRECTORY: directory, RUNTIME_DIRECTORY: directory },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  });
  try {
    while (!(await answers(port))) {
      await Bun.sleep(POLL_MS);
    }
    const healthMs = performance.now() - began;
    if (idle) {
      await Bun.sleep(IDLE_AFTER_MS);
    }
    const status = await Bun.file(`/proc/${child.pid}/status`).text();
    const kib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { healthMs, memoryMib: round(kib / 1024) };
  } finally {
    child.kill('SIGTERM');
    await child.exited;
  }
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

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
