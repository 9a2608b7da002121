/** What failed programs and units said, made into our own words. */
import { describe, expect, test } from 'bun:test';
import { errorInLines, renderError } from '../../../src/core/error-text.ts';
import { AgentError } from '../../../src/core/errors.ts';
import type { Exec } from '../../../src/core/ports.ts';
import { diskFull } from '../../../src/host/engine/disk-full.ts';
import { explainingLine } from '../../../src/host/engine/explaining-line.ts';
import { unitWatch } from '../../../src/host/engine/unit-watch.ts';

test.each([
  ['with a hint', new AgentError('FILE_ACCESS', 'Cannot read /x', { hint: 'Look at [it]' })],
  [
    'of several lines',
    new AgentError('CONFIG_INVALID', 'Two problems:\n  - a [b]\n  - c', { hint: 'Look' }),
  ],
])('an error %s that was rendered is read again', (_, error) => {
  const lines = ['before', ...renderError(error).trimEnd().split('\n'), 'after'];
  const { code, message, hint } = errorInLines(lines) ?? {};
  expect({ code, message, hint }).toEqual({
    code: error.code,
    message: error.message,
    hint: error.hint,
  });
});

test.each([
  ['nothing', []],
  ['no error', ['level=fatal msg="x" [BUSY]']],
  ['a code that there is not', ['pipeops-agent: error: x [NOT_OURS]']],
])('in %s there is no error of ours', (_, lines) => {
  expect(errorInLines(lines)).toBeUndefined();
});

describe('the line that explains', () => {
  const report = { state: 'activating', restarts: 1 };
  test.each([
    [
      'level=fatal before all that came later',
      ['level=fatal msg="the reason"', 'E0101 00:00:00.0 1 x.go:1] "later"', 'usage: k3s'],
      'the reason',
    ],
    ['the newest of several', ['level=fatal msg="old"', 'level=fatal msg="new"'], 'new'],
    [
      "the kubelet's last error, not a line after it",
      ['E0101 00:00:00.000000 1 kubelet.go:1] "Failed" err="swap is on"', 'I0101 more'],
      'E0101 00:00:00.000000 1 kubelet.go:1] "Failed" err="swap is on"',
    ],
    [
      'level=error where there is no better',
      ['level=error msg="a \\"b\\""', 'level=info'],
      'a "b"',
    ],
    ['what Go says of a crash', ['panic: nil', 'goroutine 1'], 'panic: nil'],
    ['the last line where none explains', ['one', 'two'], 'two'],
    ['nothing', [], 'it said nothing'],
  ])('is %s', (_, lines, expected) => {
    expect(explainingLine({ ...report, result: 'exit-code', lines })).toBe(expected);
  });

  test('is the word of systemd for what the program could not say', () => {
    expect(explainingLine({ ...report, result: 'oom-kill', lines: ['working'] })).toContain(
      'too little memory',
    );
  });
});

test.each([
  ['cat: write error: No space left on device', '/fallback'],
  ['open /var/lib/x/db: no space left on device', '/var/lib/x/db'],
  ["cp: error writing '/opt/a': No space left on device", '/opt/a'],
  ['write /a/b: disk quota exceeded', '/a/b'],
])('a full disk is named by its path: %s', (output, path) => {
  expect(diskFull(output, 'try it', '/fallback')).toMatchObject({
    code: 'DISK_FULL',
    message: `Cannot try it: no space left on the disk of ${path}`,
    hint: expect.stringContaining(path),
  });
});

test('other trouble is no full disk', () => {
  expect(diskFull('Permission denied', 'try it', '/x')).toBeUndefined();
});

test('restarts are counted from the beginning of the watch, also when systemd begins anew', async () => {
  let count = 40;
  const exec: Exec = {
    run: async (argv) => ({
      exitCode: 0,
      stdout: argv[0] === 'systemctl' ? `NRestarts=${count}\nActiveState=activating` : '',
      stderr: '',
    }),
  };
  const watch = unitWatch({ exec }, 'k3s.service');
  await watch.begin();
  const seen: number[] = [];
  for (count of [40, 41, 0, 2]) {
    seen.push((await watch.look()).restarts);
  }
  expect(seen).toEqual([0, 1, 1, 3]);
});
