import { expect, test } from 'bun:test';
import { fuzzDoor } from './door-fuzz.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 100_000);
/** Over a whole run, however long. */
const GROWTH_MIB_MAX = 32;

test(`requests cut and changed anywhere are read as the strictest reader does (SEED=${SEED})`, async () => {
  const report = await fuzzDoor(SEED, REQUESTS);
  console.error(`door fuzz: ${JSON.stringify(report)}`);
  // It would mean nothing if most were refused at their first byte.
  expect(report.passedOn).toBeGreaterThan(REQUESTS / 3);
  expect(report.ended).toBeGreaterThan(REQUESTS / 100);
  expect(report.usable).toBeGreaterThan(REQUESTS / 100);
  expect(report.rssGrowthMib).toBeLessThan(GROWTH_MIB_MAX);
});
