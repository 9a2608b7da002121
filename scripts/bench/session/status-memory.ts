/**
 * What following a large cluster costs: the agent's status reports against an API that serves
 * generated pods from a process of its own. The peer is client-node's informer over all pods.
 */
import { join } from 'node:path';
import type { BenchCase } from '../bench-case.ts';
import type { StatusSideReport } from './status-side.ts';

const FARM = join(import.meta.dir, '../../../test/support/pod-farm.ts');
const SIDE = join(import.meta.dir, 'status-side.ts');
const PEER = 'client-node informer';
/** After the report: long enough for what is garbage to be given back. */
const IDLE_SECONDS = 6;
const STALL_TARGET_MS = 20;

export async function benchStatusMemory(): Promise<readonly BenchCase[]> {
  const none = await side('ours', 0);
  const small = await side('ours', 10_000);
  const peer = await side('naive', 10_000);
  const large = await side('ours', 100_000);
  return [
    {
      ...over('10 000 pods: memory more than with none', small.rssMib - none.rssMib, 40),
      peer: peer.rssMib - none.rssMib,
      peer_name: PEER,
      ratio: ratio(small.rssMib - none.rssMib, peer.rssMib - none.rssMib),
    },
    {
      ...over('10 000 pods: its peak while listing', small.peakMib - none.rssMib, 80),
      peer: peer.peakMib - none.rssMib,
      peer_name: PEER,
      ratio: ratio(small.peakMib - none.rssMib, peer.peakMib - none.rssMib),
    },
    {
      ...stall('10 000 pods: longest event-loop stall', small.stallMs),
      peer: peer.stallMs,
      peer_name: PEER,
      ratio: ratio(small.stallMs, peer.stallMs),
    },
    timed('10 000 pods: listed after', small.syncMs, 10_000),
    over('10 000 pods: full report', small.reportBytes / 2 ** 20, 10),
    over('100 000 pods: memory more than with none', large.rssMib - none.rssMib, 150),
    over('100 000 pods: its peak while listing', large.peakMib - none.rssMib, 300),
    stall('100 000 pods: longest event-loop stall', large.stallMs),
    timed('100 000 pods: listed after', large.syncMs, 60_000),
    over('100 000 pods: full report', large.reportBytes / 2 ** 20, 100),
  ];
}

async function side(way: 'ours' | 'naive', pods: number): Promise<StatusSideReport> {
  const farm = Bun.spawn([process.execPath, FARM, String(pods)], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  try {
    const url = await firstLine(farm.stdout);
    const argv = [process.execPath, SIDE, way, url, String(pods), String(IDLE_SECONDS)];
    const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
    return JSON.parse(await new Response(child.stdout).text()) as StatusSideReport;
  } finally {
    farm.kill();
    await farm.exited;
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value).trim();
}

function over(name: string, mib: number, target: number): BenchCase {
  const ours = Math.round(mib * 10) / 10;
  return { case: name, unit: 'MiB', ours, target, met: ours <= target };
}

function stall(name: string, ours: number): BenchCase {
  return { case: name, unit: 'ms', ours, target: STALL_TARGET_MS, met: ours <= STALL_TARGET_MS };
}

function timed(name: string, ours: number, target: number): BenchCase {
  return { case: name, unit: 'ms', ours, target, met: ours <= target };
}

function ratio(ours: number, peer: number): number {
  return Math.round((ours / peer) * 100) / 100;
}

if (import.meta.main) {
  console.table(await benchStatusMemory());
}
