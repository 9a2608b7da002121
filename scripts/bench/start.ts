/** How fast the compiled executable starts, and what it needs idle. The peer is bun itself. */
import type { BenchCase } from './bench-case.ts';
import { benchDaemon } from './start/daemon.ts';
import { median, round } from './start/numbers.ts';

const RUNS = 25;

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
  return [...cases, ...(await benchDaemon(executable))];
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
  // Without variables: those of the runtime would let the agent start a second time (decision 0018).
  const quiet = { env: {}, stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const;
  await Bun.spawn([...argv], quiet).exited;
  return performance.now() - began;
}
