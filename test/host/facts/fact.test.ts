import { expect, test } from 'bun:test';
import { type Fact, factsOf } from '../../../src/host/facts/fact.ts';
import { factDeps } from '../../support/fact-deps.ts';

const deps = factDeps('/');

test('a fact is read once, whoever asks and however often', async () => {
  let reads = 0;
  const counted: Fact<number> = {
    id: 'counted',
    read: async () => {
      reads += 1;
      return reads;
    },
  };
  const facts = factsOf(deps);
  expect(await Promise.all([facts(counted), facts(counted)])).toEqual([1, 1]);
  expect(await facts(counted)).toBe(1);
  expect(await factsOf(deps)(counted)).toBe(2);
});
