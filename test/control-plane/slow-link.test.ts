import { expect, test } from 'bun:test';
import { slowLink } from '../../src/control-plane/slow-link.ts';
import { manualClock } from '../support/manual-clock.ts';

const MIB = 1024 * 1024;

test('what a slow link carries in good time is no reason to wait for a silent peer', () => {
  const clock = manualClock();
  const link = slowLink({ clock });
  for (let second = 0; second < 100; second += 1) {
    link.sent(16_000);
    clock.advance(1_000);
    expect(link.busyUntil()).toBeLessThan(clock.monotonic() - 14_000);
  }
});

test('a big message has the time that it needs at 128 kbit/s, and not much more', () => {
  const clock = manualClock();
  const link = slowLink({ clock });
  link.sent(MIB);
  const neededMs = MIB / 16;
  const limitMs = link.busyUntil() - clock.monotonic() + 14_000;
  expect(limitMs).toBeGreaterThan(neededMs - 2_001);
  expect(limitMs).toBeLessThan(neededMs);
});

test('however much was sent, the wait is bounded', () => {
  const clock = manualClock();
  const link = slowLink({ clock });
  for (let count = 0; count < 100; count += 1) {
    link.sent(MIB);
  }
  expect(link.busyUntil() - clock.monotonic()).toBe(74_000);
});
