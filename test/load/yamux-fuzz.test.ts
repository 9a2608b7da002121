import { expect, test } from 'bun:test';
import { fuzzYamux } from './yamux-fuzz.ts';

const FRAMES = 10_000_000;
const SEED = 5;
const RSS_GROWTH_BYTES_MAX = 100 * 1024 * 1024;

test('10 million frames, valid and not, neither crash a session nor fill the memory', async () => {
  await fuzzYamux(SEED, 100_000); // Compiled and warm.
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const result = await fuzzYamux(SEED + 1, FRAMES);
  Bun.gc(true);
  console.log({ seed: SEED, ...result });
  expect(process.memoryUsage.rss() - before).toBeLessThan(RSS_GROWTH_BYTES_MAX);
});
