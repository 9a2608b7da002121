import { expect, test } from 'bun:test';
import { renderTable } from '../../../src/cli/terminal/render.ts';
import { cliContext } from '../../support/cli-context.ts';

const ROWS = [
  ['Node', 'server-1'],
  ['What it is', 'a machine with a name, a few neighbours and a long story'],
];

test('a table keeps its columns, and wraps the last one below itself where it is asked to', () => {
  expect(renderTable(ROWS, undefined)).toBe(
    'Node        server-1\nWhat it is  a machine with a name, a few neighbours and a long story\n',
  );
  expect(renderTable(ROWS, 40)).toBe(
    'Node        server-1\n' +
      'What it is  a machine with a name, a few\n' +
      '            neighbours and a long story\n',
  );
  expect(renderTable(ROWS, 25)).toBe(renderTable(ROWS, undefined));
  expect(
    renderTable(
      [
        ['first, second, third, fourth', 'of it'],
        ['b', 'another word'],
      ],
      36,
    ),
  ).toBe('first, second,  of it\nthird, fourth\nb               another word\n');
});

test('policy show and policy presets fit the terminal, and 80 columns where there is none', async () => {
  for (const words of [
    ['policy', 'show'],
    ['policy', 'presets'],
  ]) {
    const shown = async (columns?: number) => {
      const given = columns === undefined ? {} : { columns };
      const { exitCode, stdout } = await cliContext({ root: '/nonexistent', ...given }).run(
        ...words,
      );
      expect(exitCode).toBe(0);
      return stdout;
    };
    const widest = (text: string) => Math.max(...text.split('\n').map(({ length }) => length));
    const flat = (text: string) => text.split(/\s+/).sort();
    const [plain, narrow, wide] = [await shown(), await shown(64), await shown(500)];
    expect([widest(plain) <= 80, widest(narrow) <= 64]).toEqual([true, true]);
    expect([flat(plain), flat(narrow)]).toEqual([flat(wide), flat(wide)]);
  }
});
