import { describe, expect, test } from 'bun:test';
import { systemClock } from '../../src/platform/clock.ts';

describe('systemClock', () => {
  test('tells the time of the machine', () => {
    const before = Date.now();
    const now = systemClock.now().getTime();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
  });

  test('sleeps the whole time when nothing cuts it short', async () => {
    const before = systemClock.monotonic();
    expect(await systemClock.sleep(20, new AbortController().signal)).toBeTrue();
    // A timer counts whole milliseconds, so it may fire a fraction of one early.
    expect(systemClock.monotonic() - before).toBeGreaterThanOrEqual(19);
  });

  test('wakes at the signal', async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(3_600_000, controller.signal);
    controller.abort();
    expect(await sleeping).toBeFalse();
  });

  test('does not sleep at all when the signal came before', async () => {
    expect(await systemClock.sleep(3_600_000, AbortSignal.abort())).toBeFalse();
  });

  test('does not take a sleep longer than a timer can count for a short one', async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(2 ** 31 + 1, controller.signal);
    expect(await Promise.race([sleeping, systemClock.sleep(20).then(() => 'asleep')])).toBe(
      'asleep',
    );
    controller.abort();
    expect(await sleeping).toBeFalse();
  });
});
