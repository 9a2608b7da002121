import { expect, test } from 'bun:test';
import { addressWatch, LOOK_EVERY_MS } from '../../src/daemon/address-watch.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { until } from '../support/until.ts';

/** The addresses at the start, and at each look after it. @returns after which looks it told */
async function toldAfter(looks: readonly (readonly string[])[]): Promise<readonly number[]> {
  const clock = manualClock();
  const stop = new AbortController();
  const told: number[] = [];
  let look = 0;
  const machine = {
    hostname: () => 'node-1',
    addresses: () => looks[look] ?? [],
    processors: () => 2,
    memoryBytes: () => 1,
  };
  const watch = addressWatch({ clock, log: memoryLog(), machine }, () => told.push(look));
  const { done } = await watch.start(stop.signal);
  for (look = 1; look < looks.length; look += 1) {
    clock.advance(LOOK_EVERY_MS);
    await until('it has looked', () => clock.remainingMs().length === 1);
  }
  stop.abort();
  await done;
  return told;
}

test('an address that is gone at two looks is told once', async () => {
  const both = ['10.0.0.1', '10.42.0.1'];
  const other = ['10.0.0.2', '10.42.0.1'];
  expect(await toldAfter([both, other, other, other, other])).toEqual([2]);
});

test('one that comes back is not told, nor one that comes, nor those of single links', async () => {
  const usual = ['10.0.0.1', 'fe80::1'];
  const more = ['10.0.0.1', '10.42.0.1', 'fe80::2'];
  expect(await toldAfter([usual, [], usual, more, more, [], more])).toEqual([]);
});
