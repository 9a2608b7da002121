import { expect, test } from 'bun:test';
import { reachingTests } from '../../scripts/reaching-tests.ts';

const FILES = [
  { path: 'src/core/a.ts', text: '' },
  { path: 'src/host/b.ts', text: "import { a } from '../core/a.ts';" },
  { path: 'src/cli/c.ts', text: "const b = await import('../host/b.ts');" },
  { path: 'src/store/d.ts', text: '' },
  { path: 'test/core/a.test.ts', text: "import { a } from '../../src/core/a.ts';" },
  { path: 'test/cli/c.test.ts', text: "import { c } from '../../src/cli/c.ts';" },
  { path: 'test/store/d.test.ts', text: "import { d } from '../../src/store/d.ts';" },
];

test('a change reaches the tests that import it, directly or by others, the nearest first', () => {
  expect(reachingTests(FILES, ['src/core/a.ts'])).toEqual([
    { path: 'test/core/a.test.ts', distance: 1 },
    { path: 'test/cli/c.test.ts', distance: 3 },
  ]);
});

test('a test that was changed is reached itself', () => {
  expect(reachingTests(FILES, ['test/store/d.test.ts', 'README.md'])).toEqual([
    { path: 'test/store/d.test.ts', distance: 0 },
  ]);
});

test('imports in a circle come to an end', () => {
  const circle = [
    { path: 'src/a.ts', text: "import './b.ts';" },
    { path: 'src/b.ts', text: "import './a.ts';" },
    { path: 'test/a.test.ts', text: "import '../src/a.ts';" },
  ];
  expect(reachingTests(circle, ['src/b.ts'])).toEqual([{ path: 'test/a.test.ts', distance: 2 }]);
});
