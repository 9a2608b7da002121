import { expect, test } from 'bun:test';
import { percentile, reconnectStorm } from './reconnect-storm.ts';

const SEED = Number(process.env['SEED'] ?? 1);

test(`agents of a large fleet come back spread over time (SEED=${SEED})`, async () => {
  const [agents, spreadSeconds] = [400, 20];
  const { connectsPerSecond, reconnectMs } = await reconnectStorm({
    seed: SEED,
    agents,
    spreadSeconds,
    outageMs: 3_000,
  });
  expect(reconnectMs.length).toBe(agents);
  expect(Math.max(...connectsPerSecond)).toBeLessThan((2.5 * agents) / spreadSeconds);
});

test(`one agent is back soon after its server (SEED=${SEED})`, async () => {
  const { reconnectMs } = await reconnectStorm({
    seed: SEED,
    agents: 100,
    spreadSeconds: 0,
    outageMs: 30_000,
  });
  expect(percentile(reconnectMs, 0.5)).toBeLessThan(1_000);
  expect(percentile(reconnectMs, 0.99)).toBeLessThan(5_000);
});
