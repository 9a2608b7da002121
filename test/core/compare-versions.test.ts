import { expect, test } from 'bun:test';
import { compareVersions } from '../../src/core/text/compare-versions.ts';

/** Semantic Versioning 2.0.0, section 11, and what follows no scheme. */
const IN_ORDER = [
  ...['0.0.0-dev', '0.0.1', '0.2.0', '0.10.0', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta'],
  ...['1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1', '1.0.0', '1.0.1', '2.0.0'],
  ...['9999999999999999999.0.0', '10000000000000000000.0.0'],
];

test('versions are ordered as Semantic Versioning says', () => {
  for (const [index, earlier] of IN_ORDER.entries()) {
    for (const [other, later] of IN_ORDER.entries()) {
      expect(Math.sign(compareVersions(earlier, later))).toBe(Math.sign(index - other));
    }
  }
});

test('neither build metadata nor a v before it counts', () => {
  expect(compareVersions('1.2.3+build.7', 'v1.2.3')).toBe(0);
});
