import { expect, test } from 'bun:test';
import { fuzzSessionProxy } from './session-proxy-fuzz.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 20_000);

test(`what a control plane asks for comes as it is, or not at all (SEED=${SEED})`, async () => {
  const report = await fuzzSessionProxy(SEED, REQUESTS);
  console.error(`session proxy fuzz: ${JSON.stringify(report)}`);
  // It would mean nothing if most were refused.
  expect(report.passedOn).toBeGreaterThan(REQUESTS / 5);
});
