import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Glob } from 'bun';
import times from '../e2e/timings.json';

const ROOT = join(import.meta.dir, '../..');

test('each scenario has a time, by which the longest ones begin first', () => {
  const scenarios = [...new Glob('test/e2e/*.test.ts').scanSync({ cwd: ROOT })].sort();
  expect(Object.keys(times.files).sort()).toEqual(scenarios);
});
