import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { readJunitReport } from '../../scripts/junit-report.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const TESTS = `
import { describe, expect, test } from 'bun:test';
test('a > "b" & <c>', () => expect(1).toBe(2));
describe('a group', () => {
  test('that is well', () => expect(1).toBe(1));
  test('that throws', () => { throw new Error('for the test'); });
});
test.skip('that is left out', () => undefined);
`;

test('the report of a run tells how many tests failed, and which', async () => {
  await using directory = await tempDirectory();
  await Bun.write(join(directory.path, 'some.test.ts'), TESTS);
  const report = join(directory.path, 'report.xml');
  const argv = [process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`];
  await Bun.spawn(argv, { cwd: directory.path, stdio: ['ignore', 'ignore', 'ignore'] }).exited;
  expect(readJunitReport(await Bun.file(report).text())).toEqual({
    passed: 1,
    failed: 2,
    skipped: 1,
    failures: ['some.test.ts: a > "b" & <c>', 'some.test.ts: a group: that throws'],
  });
});

test('a run that left no report has told of no test', () => {
  expect(readJunitReport('')).toEqual({ passed: 0, failed: 0, skipped: 0, failures: [] });
});
