import { describe, expect, test } from 'bun:test';
import { commandProgress, PROGRESS_INTERVAL_MS } from '../../../src/commands/engine/progress.ts';
import { manualClock } from '../../support/manual-clock.ts';

const never = new AbortController().signal;
const news = (id: string, sequence: number, message = 'working') => ({
  id,
  sequence,
  attempt: 1,
  message,
});

describe('commandProgress()', () => {
  test('keeps the newest of each command until it is taken', () => {
    const progress = commandProgress({ clock: manualClock() });
    progress.report(news('a', 1));
    progress.report(news('b', 1));
    progress.report(news('a', 2));
    progress.forget('b');
    expect(progress.take()).toEqual([{ ...news('a', 2), timestamp: '2026-01-01T00:00:00.000Z' }]);
    expect(progress.take()).toEqual([]);
  });

  test('shortens long messages and leaves out facts that are too large', () => {
    const progress = commandProgress({ clock: manualClock() });
    progress.report({ ...news('a', 1, 'x'.repeat(5_000)), data: { text: 'x'.repeat(20_000) } });
    const [taken] = progress.take();
    expect({ length: taken?.message.length, data: taken?.data }).toEqual({
      length: 1_000,
      data: undefined,
    });
  });

  test('tells at once, then not more often than the interval', async () => {
    const clock = manualClock();
    const progress = commandProgress({ clock });
    progress.report(news('a', 1));
    await progress.whenProgress(never);
    progress.take();
    progress.report(news('a', 2));
    const told = progress.whenProgress(never);
    await clock.whenSleeping(1);
    expect(clock.remainingMs()).toEqual([PROGRESS_INTERVAL_MS]);
    clock.advance(PROGRESS_INTERVAL_MS);
    await told;
  });

  test('stops waiting at the signal', async () => {
    const stop = new AbortController();
    const told = commandProgress({ clock: manualClock() }).whenProgress(stop.signal);
    expect(Bun.peek.status(told)).toBe('pending');
    stop.abort();
    await told;
  });
});
