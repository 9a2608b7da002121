/** What a session costs and how it behaves in a fleet: `bun run bench session`. */
import {
  CONNECTS_PER_SECOND_PLANNED,
  percentile,
  reconnectStorm,
} from '../../test/load/reconnect-storm.ts';
import type { BenchCase } from './bench-case.ts';
import { benchCommandLoad } from './session/command-load.ts';
import { benchReconnect } from './session/reconnect.ts';
import { benchStatusMemory } from './session/status-memory.ts';

const FLEET = 10_000;
const FLEET_OUTAGE_MS = 3_000;
const SINGLE_SEEDS = 200;
/** A restart, and an outage in which every backoff has reached its cap. */
const SINGLE_OUTAGES_MS = [2_000, 120_000] as const;
const CURVE_WIDTH = 60;

export async function benchSession(): Promise<readonly BenchCase[]> {
  return [
    ...(await single()),
    ...(await storm()),
    ...(await benchReconnect()),
    ...(await benchCommandLoad()),
    ...(await benchStatusMemory()),
  ];
}

/** Agents that know of no fleet: each comes back for itself. */
async function single(): Promise<readonly BenchCase[]> {
  const cases: BenchCase[] = [];
  for (const outageMs of SINGLE_OUTAGES_MS) {
    const options = { seed: 1, agents: SINGLE_SEEDS, outageMs, spreadSeconds: 0 };
    const { reconnectMs } = await reconnectStorm(options);
    for (const [name, share, target] of [
      ['p50', 0.5, 1_000],
      ['p99', 0.99, 5_000],
    ] as const) {
      const ours = percentile(reconnectMs, share);
      cases.push({
        ...{ case: `reconnect after ${outageMs / 1_000} s, ${name}`, unit: 'ms', ours },
        target,
        met: ours <= target,
      });
    }
  }
  return cases;
}

/** The whole fleet loses its server at once, which had announced a spread for its size. */
async function storm(): Promise<readonly BenchCase[]> {
  const spreadSeconds = FLEET / CONNECTS_PER_SECOND_PLANNED;
  const options = { seed: 1, agents: FLEET, outageMs: FLEET_OUTAGE_MS, spreadSeconds };
  const { connectsPerSecond, reconnectMs } = await reconnectStorm(options);
  printCurve(connectsPerSecond);
  const peak = Math.max(...connectsPerSecond);
  return [
    {
      ...{ case: `storm of ${FLEET} agents, peak of connects`, unit: '1/s', ours: peak },
      target: 499,
      met: peak < 500,
    },
    {
      ...{ case: `storm of ${FLEET} agents, p50`, unit: 'ms', ours: percentile(reconnectMs, 0.5) },
      target: spreadSeconds * 1_000,
      met: percentile(reconnectMs, 0.5) <= 1_000 * spreadSeconds,
    },
  ];
}

function printCurve(connectsPerSecond: readonly number[]): void {
  const peak = Math.max(...connectsPerSecond);
  for (const [second, connects] of connectsPerSecond.entries()) {
    const bar = '#'.repeat(Math.round((connects / peak) * CURVE_WIDTH));
    process.stderr.write(
      `${String(second).padStart(4)} s ${String(connects).padStart(5)}/s ${bar}\n`,
    );
  }
}
