import { expect, test } from 'bun:test';
import { BUILD } from '../../src/core/version.ts';

test('BUILD says that nothing is known of a build when run from source', () => {
  expect(BUILD).toEqual({ version: '0.0.0-dev', commit: 'unknown', committedAt: undefined });
});
