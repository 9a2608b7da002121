/**
 * 1 000 queued commands on the real journal and executor: how fast they drain, and what that does
 * to heartbeats and to memory. In a process of its own, whose memory is nobody else's.
 */
import { join } from 'node:path';
import type { BenchCase } from '../bench-case.ts';
import type { CommandLoadReport } from './command-side.ts';

const SIDE = join(import.meta.dir, 'command-side.ts');
/** A heartbeat is due that often there, and may wait for one commit. */
const HEARTBEAT_MS = 20;

export async function benchCommandLoad(): Promise<readonly BenchCase[]> {
  const child = Bun.spawn([process.execPath, SIDE], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const report = JSON.parse(await new Response(child.stdout).text()) as CommandLoadReport;
  return [
    atLeast('1 000 commands drain', '1/s', report.perSecond, 100),
    atMost('heartbeat, longest delay', 'ms', report.lateMs, HEARTBEAT_MS + report.commitMaxMs),
    atMost('commit, p50', 'ms', report.commitP50Ms, 5),
    atMost('commit, p99', 'ms', report.commitP99Ms, 20),
    atMost('1 000 commands, memory (RSS)', 'MiB', report.rssMib, 80),
  ];
}

function atMost(name: string, unit: BenchCase['unit'], ours: number, target: number): BenchCase {
  return { case: name, unit, ours: round(ours), target: round(target), met: ours <= target };
}

function atLeast(name: string, unit: BenchCase['unit'], ours: number, target: number): BenchCase {
  return { case: name, unit, ours: round(ours), target, met: ours >= target };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
