/** Compared with what diff(1) says, and applied by patch(1)'s rules: what it tells makes the one of the other. */
import { expect, test } from 'bun:test';
import { unifiedDiff } from '../../../src/core/text/unified-diff.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const lines = (...texts: readonly string[]) => texts.map((text) => `${text}\n`).join('');

test('a new file is all additions, and the same text no diff', () => {
  expect(unifiedDiff('/etc/a', undefined, lines('one', 'two'))).toBe(
    lines('--- /dev/null', '+++ /etc/a', '@@ -0,0 +1,2 @@', '+one', '+two'),
  );
  expect(unifiedDiff('/etc/a', 'one\n', 'one\n')).toBe('');
});

test('changes far apart are hunks of their own, with three lines around each', () => {
  const before = Array.from({ length: 20 }, (_, at) => `line ${at + 1}`);
  const after = before.with(1, 'second').toSpliced(18, 1);
  expect(unifiedDiff('/etc/a', lines(...before), lines(...after))).toBe(
    lines(
      '--- /etc/a',
      '+++ /etc/a',
      '@@ -1,5 +1,5 @@',
      ...[' line 1', '-line 2', '+second', ' line 3', ' line 4', ' line 5'],
      '@@ -16,5 +16,4 @@',
      ...[' line 16', ' line 17', ' line 18', '-line 19', ' line 20'],
    ),
  );
});

test('the text of a thousand pairs is what their diff makes of the one before', () => {
  const { fraction } = seededRandom(15);
  for (let run = 0; run < 1_000; run += 1) {
    const some = () =>
      Array.from({ length: Math.floor(fraction() * 30) }, () => `w${Math.floor(fraction() * 6)}`);
    const [before, after] = [some(), some()];
    expect(patched(before, unifiedDiff('/x', lines(...before), lines(...after)))).toEqual(after);
  }
});

test('texts too long to compare line by line are shown as changed from the first to the last difference', () => {
  const long = (word: string) => Array.from({ length: 1_000 }, (_, at) => `${word} ${at}`);
  const diff = unifiedDiff('/x', lines(...long('a')), lines(...long('b')));
  expect(patched(long('a'), diff)).toEqual(long('b'));
});

/** As patch(1) does it, and as strictly. */
function patched(before: readonly string[], diff: string): readonly string[] {
  const result: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line);
    if (hunk !== null) {
      const first = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      result.push(...before.slice(at, first));
      at = first;
    } else if (line.startsWith('+')) {
      result.push(line.slice(1));
    } else {
      expect(before[at]).toBe(line.slice(1));
      result.push(...(line.startsWith(' ') ? [line.slice(1)] : []));
      at += 1;
    }
  }
  return [...result, ...before.slice(at)];
}
