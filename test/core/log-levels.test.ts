import { expect, test } from 'bun:test';
import { liveLogLevel } from '../../src/core/log-levels.ts';
import { manualClock } from '../support/manual-clock.ts';

test('a level that was changed goes back by itself', () => {
  const clock = manualClock('2026-01-01T00:00:00.000Z');
  const level = liveLogLevel({ clock }, 'info');
  expect([level.current(), level.until()]).toEqual(['info', undefined]);
  level.change('debug', 60_000);
  expect([level.current(), level.until()?.toISOString()]).toEqual([
    'debug',
    '2026-01-01T00:01:00.000Z',
  ]);
  clock.advance(59_999);
  expect(level.current()).toBe('debug');
  clock.advance(1);
  expect([level.current(), level.until()]).toEqual(['info', undefined]);
});

test('the configured level ends the change', () => {
  const level = liveLogLevel({ clock: manualClock() }, 'info');
  level.change('error', 60_000);
  level.change('info', 60_000);
  expect([level.current(), level.until()]).toEqual(['info', undefined]);
});
