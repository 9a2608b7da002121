/** How fast the compiled executable starts, and what it needs idle. The peer is bun itself. */
import type { BenchCase } from './bench-case.ts';
import { benchDaemon } from './start/daemon.ts';
import { median, round } from './start/numbers.ts';

const RUNS = 25;
/** Of the peer's processor time: what telling the version may cost. */
const VERSION_RATIO_MAX = 1.5;

export async function benchStart(executable: string): Promise<readonly BenchCase[]> {
  const peer = { name: 'bun -e 0', argv: [process.execPath, '-e', '0'] };
  const cases: BenchCase[] = [];
  for (const [name, args, target] of [
    ['version', ['version'], 10],
    ['--help', ['--help'], 25],
  ] as const) {
    const { ours, theirs } = await interleaved([executable, ...args], peer.argv);
    const beside = (pick: (run: Run) => number) => {
      const [own, other] = [median(ours.map(pick)), median(theirs.map(pick))];
      return { ours: own, peer: other, peer_name: peer.name, ratio: round(own / other) };
    };
    const took = beside(({ ms }) => ms);
    cases.push({ case: name, unit: 'ms', ...took, target, met: took.ours <= target });
    if (name === 'version') {
      const used = beside(({ cpuMs }) => cpuMs);
      const [target, met] = [VERSION_RATIO_MAX, used.ratio <= VERSION_RATIO_MAX];
      cases.push({ case: `${name}, processor time`, unit: 'ms', ...used, target, met });
    }
  }
  return [...cases, ...(await benchDaemon(executable))];
}

interface Run {
  readonly ms: number;
  /** Of all threads: a busy machine changes it less. */
  readonly cpuMs: number;
}

/** Alternating runs, so that a busy moment hits both. */
async function interleaved(ours: readonly string[], theirs: readonly string[]) {
  const runs = { ours: [] as Run[], theirs: [] as Run[] };
  for (let run = 0; run < RUNS; run += 1) {
    runs.ours.push(await runOnce(ours));
    runs.theirs.push(await runOnce(theirs));
  }
  return runs;
}

async function runOnce(argv: readonly string[]): Promise<Run> {
  const began = performance.now();
  // Without variables: those of the runtime would let the agent start a second time (decision 0018).
  const quiet = { env: {}, stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const;
  const child = Bun.spawn([...argv], quiet);
  await child.exited;
  const ms = performance.now() - began;
  return { ms, cpuMs: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1_000 };
}
