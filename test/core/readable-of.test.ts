import { expect, test } from 'bun:test';
import { readableOf } from '../../src/core/readable-of.ts';
import { until } from '../support/until.ts';

/** Notes what is made, and its end. */
async function* counting(made: (number | 'ended')[]): AsyncGenerator<number> {
  try {
    for (let number = 0; number < 100; number += 1) {
      made.push(number);
      yield number;
    }
  } finally {
    made.push('ended');
  }
}

test('what nobody reads is not made, and who reads no further ends it', async () => {
  const made: (number | 'ended')[] = [];
  for await (const number of readableOf(counting(made))) {
    if (number === 1) {
      break;
    }
  }
  await until('it has ended', () => made.includes('ended'));
  // One piece is made ahead.
  expect(made).toEqual([0, 1, 2, 'ended']);
});

test('an error in the middle is one for its reader', async () => {
  const readable = readableOf(
    (async function* () {
      yield 'a';
      throw new Error('no more');
    })(),
  );
  const reader = readable.getReader();
  expect(await reader.read()).toEqual({ done: false, value: 'a' });
  await expect(reader.read()).rejects.toThrow('no more');
});
