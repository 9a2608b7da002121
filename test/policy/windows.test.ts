import { expect, test } from 'bun:test';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { stricterOf } from '../../src/policy/stricter.ts';
import { isWithin } from '../../src/policy/windows.ts';

const AT = (text: string) => new Date(text);

test.each([
  ['sat 02:00-05:00', '2026-01-03T02:00:00Z', true],
  ['sat 02:00-05:00', '2026-01-03T04:59:59Z', true],
  ['sat 02:00-05:00', '2026-01-03T05:00:00Z', false],
  ['sat 02:00-05:00', '2026-01-04T03:00:00Z', false],
  ['sat,sun 02:00-05:00', '2026-01-04T03:00:00Z', true],
  ['sat 02:00-05:00 Europe/Berlin', '2026-01-03T01:30:00Z', true],
  ['sat 02:00-05:00 Europe/Berlin', '2026-01-03T04:30:00Z', false],
  ['sat 02:00-05:00 Europe/Berlin', '2026-07-04T00:30:00Z', true],
  ['sun 23:00-01:00', '2026-01-04T23:30:00Z', true],
  ['sun 23:00-01:00', '2026-01-05T00:30:00Z', true],
  ['sun 23:00-01:00', '2026-01-05T23:30:00Z', false],
  ['daily 23:00-01:00', '2026-01-05T00:30:00Z', true],
  ['daily 00:00-00:30', '2026-01-05T00:00:00Z', true],
])('%s at %s: %p', (window, at, isOpen) => {
  expect(isWithin([window], AT(at))).toBe(isOpen);
});

test('without windows any time is right, and with several one is enough', () => {
  expect(isWithin([], AT('2026-01-05T12:00:00Z'))).toBe(true);
  const windows = ['mon 01:00-02:00', 'mon 11:00-13:00'];
  expect(isWithin(windows, AT('2026-01-05T12:00:00Z'))).toBe(true);
});

test.each([
  'sat',
  'sat 2:00-5:00',
  'sat 02:00-02:00',
  'sat,caturday 02:00-03:00',
  'sat 25:00-26:00',
])('the policy refuses the window "%s"', (window) => {
  expect(() => parsePolicyFile(`windows: {snapshot: ["${window}"]}`, '/p.yaml')).toThrow(
    'windows.snapshot.0: must be like "sat,sun 02:00-05:00 Europe/Berlin"',
  );
});

test('a zone that nobody knows is refused', () => {
  expect(() =>
    parsePolicyFile('windows: {snapshot: ["sat 02:00-05:00 Europe/Atlantis"]}', '/p.yaml'),
  ).toThrow('windows.snapshot.0: must be like');
});

test('of two policies both must have their time', () => {
  const of = (text: string) => policyOf(effectivePolicy(parsePolicyFile(text, '/p.yaml')));
  const day = of('windows: {snapshot: ["mon 08:00-20:00"]}');
  const noon = of('windows: {snapshot: ["mon 12:00-13:00"]}');
  const both = stricterOf(day, () => noon);
  const ahead = (at: string) => both.windowsAhead('snapshot', AT(at));
  expect([ahead('2026-01-05T12:30:00Z'), ahead('2026-01-05T14:00:00Z')]).toEqual([
    undefined,
    ['mon 12:00-13:00'],
  ]);
  expect(ahead('2026-01-06T12:30:00Z')).toEqual(['mon 08:00-20:00']);
  expect(both.windowsAhead('join_token', AT('2026-01-06T12:30:00Z'))).toBeUndefined();
});
