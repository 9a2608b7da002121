import { beforeEach, expect, test } from 'bun:test';
import { type MachineClock, machineClock } from '../../../src/page/agent/machine-clock.ts';

const NOON_MS = Date.parse('2026-01-01T12:00:00Z');
/** Of a browser that is a day behind. */
const BROWSER_MS = Date.parse('2025-12-31T12:00:00Z');

let monotonicMs: number;
let clock: MachineClock;
beforeEach(() => {
  monotonicMs = 5_000;
  clock = machineClock({ monotonic: () => monotonicMs, browserNow: () => BROWSER_MS });
});

/** An answer that takes so long, of a machine whose clock is `machineMs` in its middle. */
function answer(machineMs: number, takesMs = 0): void {
  const askedAt = monotonicMs;
  monotonicMs += takesMs;
  clock.heard(new Date(Math.floor(machineMs / 1_000) * 1_000).toUTCString(), askedAt);
}

test('before anything was answered, it is the clock of the browser', () => {
  expect(clock.now()).toBe(BROWSER_MS);
  clock.heard(null, monotonicMs);
  expect(clock.now()).toBe(BROWSER_MS);
});

test('it goes on by itself from what the machine says', () => {
  answer(NOON_MS);
  monotonicMs += 1_500;
  expect(clock.now()).toBe(NOON_MS + 1_500);
});

test('every answer makes it more exact, although answers tell whole seconds', () => {
  const start = monotonicMs;
  answer(NOON_MS + 900);
  expect(clock.now()).toBe(NOON_MS);
  for (const laterMs of [700, 1_120, 2_090]) {
    monotonicMs = start + laterMs;
    answer(NOON_MS + 900 + laterMs);
  }
  expect(Math.abs(clock.now() - (NOON_MS + 900 + 2_090))).toBeLessThan(100);
});

test('an answer that took long does not put it off', () => {
  answer(NOON_MS + 500);
  const before = clock.now() - monotonicMs;
  answer(NOON_MS + 5_500, 10_000);
  expect(clock.now() - monotonicMs).toBe(before);
});

test('it follows when the clock of the machine is set', () => {
  answer(NOON_MS);
  answer(NOON_MS - 3_600_000);
  expect(Math.abs(clock.now() - (NOON_MS - 3_600_000))).toBeLessThanOrEqual(1_000);
});
