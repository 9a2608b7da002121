import { describe, expect, test } from 'bun:test';
import { manualClock } from './manual-clock.ts';

describe('manualClock()', () => {
  test('moves both clocks together, and only when it is told to', () => {
    const clock = manualClock('2026-01-01T00:00:00.000Z');
    clock.advance(1_500);
    expect({ now: clock.now().toISOString(), monotonic: clock.monotonic() }).toEqual({
      now: '2026-01-01T00:00:01.500Z',
      monotonic: 1_500,
    });
  });

  test('ends the sleeps that are due, the earliest first', async () => {
    const clock = manualClock();
    const ended: string[] = [];
    const sleep = async (name: string, ms: number) => {
      await clock.sleep(ms);
      ended.push(name);
    };
    const sleeps = [sleep('third', 30), sleep('first', 10), sleep('second', 20)];
    clock.advance(19);
    clock.advance(1);
    expect(clock.remainingMs()).toEqual([10]);
    clock.advance(100);
    await Promise.all(sleeps);
    expect(ended).toEqual(['first', 'second', 'third']);
  });

  test('cuts a sleep short at its signal', async () => {
    const clock = manualClock();
    const controller = new AbortController();
    const sleeping = clock.sleep(10, controller.signal);
    controller.abort();
    expect([await sleeping, await clock.sleep(10, controller.signal)]).toEqual([false, false]);
    expect(clock.remainingMs()).toEqual([]);
  });

  test('tells when enough sleep', async () => {
    const clock = manualClock();
    const enough = clock.whenSleeping(2);
    const first = clock.sleep(10);
    expect(Bun.peek.status(enough)).toBe('pending');
    const second = clock.sleep(20);
    await enough;
    await clock.whenSleeping(1);
    clock.advance(20);
    expect(await Promise.all([first, second])).toEqual([true, true]);
  });

  test('does not sleep at all for no time', async () => {
    expect(await manualClock().sleep(0)).toBeTrue();
  });
});
