import { expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import {
  CHANGES_MAX,
  KindCache,
  STALE_AFTER_MS,
} from '../../../src/kubernetes/watch/kind-cache.ts';
import { manualClock } from '../../support/manual-clock.ts';

interface Thing {
  readonly name: string;
  readonly size: number;
}

function things() {
  const clock = manualClock();
  const cache = new KindCache<Thing, number>(
    { clock },
    { key: ({ name }) => name, pick: ({ size }) => size },
  );
  return { clock, cache };
}

const trouble = new AgentError('KUBERNETES_API', 'away', { hint: 'Look' });

test('a kind is known when it was listed, and until it is out of reach for long', () => {
  const { clock, cache } = things();
  const seen = [cache.isKnown()];
  cache.listing();
  seen.push(cache.isKnown());
  cache.listed();
  seen.push(cache.isKnown());
  cache.failed(trouble);
  clock.advance(STALE_AFTER_MS - 1);
  cache.failed(trouble);
  seen.push(cache.isKnown());
  clock.advance(1);
  seen.push(cache.isKnown());
  cache.reached();
  seen.push(cache.isKnown());
  expect(seen).toEqual([false, false, true, true, false, true]);
});

test('a change of nothing that is kept is no change', () => {
  const { cache } = things();
  cache.put({ name: 'a', size: 1 });
  const { generation } = cache;
  cache.put({ name: 'a', size: 1 });
  cache.remove({ name: 'unknown', size: 1 });
  expect(cache.generation).toBe(generation);
});

test('a list removes what it does not name, also when it had to begin again', () => {
  const { cache } = things();
  cache.listing();
  cache.put({ name: 'a', size: 1 });
  cache.put({ name: 'b', size: 2 });
  cache.listing();
  cache.put({ name: 'b', size: 2 });
  cache.listed();
  expect(cache.rows()).toEqual([2]);
});

test('each object is told of once, whatever happened to it', () => {
  const { cache } = things();
  cache.put({ name: 'a', size: 1 });
  cache.listed();
  const { generation } = cache;
  cache.put({ name: 'a', size: 2 });
  cache.remove({ name: 'a', size: 2 });
  cache.put({ name: 'b', size: 3 });
  cache.put({ name: 'b', size: 4 });
  expect(cache.changesSince(generation)).toEqual({ changed: [4], removed: ['a'] });
  expect(cache.changesSince(cache.generation)).toEqual({ changed: [], removed: [] });
});

test('changes are forgotten above the limit, and whoever needs them is told so', () => {
  const { cache } = things();
  cache.listed();
  const { generation } = cache;
  for (let index = 0; index < CHANGES_MAX; index += 1) {
    cache.put({ name: `t${index}`, size: 1 });
  }
  expect(cache.changesSince(generation)?.changed).toHaveLength(CHANGES_MAX);
  cache.put({ name: 'one more', size: 1 });
  expect(cache.changesSince(generation)).toBeUndefined();
  expect(cache.changesSince(generation + 1)?.changed).toHaveLength(CHANGES_MAX);
});

test('what was there before the first list is no delta', () => {
  const { cache } = things();
  cache.listing();
  cache.put({ name: 'a', size: 1 });
  cache.listed();
  expect(cache.changesSince(0)).toBeUndefined();
});
