import { expect, test } from 'bun:test';
import { Deadlines } from '../../src/tunnel/deadlines.ts';
import { manualClock } from '../support/manual-clock.ts';

test('each key is due once, to the second; a cleared one never, the last set one counts', async () => {
  const clock = manualClock();
  const stop = new AbortController();
  const deadlines = new Deadlines({ clock });
  const running = deadlines.run(stop.signal);
  const due: string[] = [];
  const [first, second, third] = [{}, {}, {}];
  deadlines.set(first, 1_000, () => due.push('first'));
  deadlines.set(second, 1_000, () => due.push('never'));
  deadlines.set(second, 2_500, () => due.push('second'));
  deadlines.set(third, 1_000, () => due.push('cleared'));
  deadlines.clear(third);
  const seen: string[][] = [];
  for (let tick = 0; tick < 3; tick += 1) {
    await clock.whenSleeping(1);
    clock.advance(1_000);
    await clock.whenSleeping(1);
    seen.push([...due]);
  }
  expect(seen).toEqual([['first'], ['first'], ['first', 'second']]);
  deadlines.set(first, 60_000, () => due.push('at the end'));
  stop.abort();
  await running;
  expect(due).toEqual(['first', 'second', 'at the end']);
});
