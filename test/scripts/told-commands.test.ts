/** What the pages tell a person to type is what the program takes. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Glob } from 'bun';
import { describeProgram, type SubcommandDocument } from '../../src/cli/help/document.ts';
import { SUBCOMMANDS } from '../../src/cli/subcommands/list.ts';

const ROOT = join(import.meta.dir, '../..');
/** The one is written from the sources, the other tells of what only systemd starts. */
const OTHER_PAGES = ['docs/CLI.md', 'docs/ARCHITECTURE.md'];
/** In a block of a shell, or between backticks. */
const COMMAND = /(?:sudo |`|^)(?:\.\/)?pipeops-agent ([a-z][^`'"\n#;|&>()…]*)/gm;

/** What is wrong with a command line, as words. */
function problemOf(line: string, known: readonly SubcommandDocument[]): string | undefined {
  const words = line.trim().split(/\s+/);
  const found =
    known.find(({ name }) => name === words.slice(0, 2).join(' ')) ??
    known.find(({ name }) => name === words[0]);
  if (found === undefined) {
    return 'no such subcommand';
  }
  const flags = [...found.flags.map(({ name }) => name), '--help'];
  const given = words.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0]);
  const unknown = given.find((flag = '') => !flags.includes(flag.replace(/^--no-/, '--')));
  if (unknown !== undefined) {
    return `no such flag: ${unknown}`;
  }
  const [next = '--'] = words.slice(found.name.split(' ').length);
  return found.words.length > 0 || next.startsWith('--') ? undefined : `no such word: ${next}`;
}

test('each command line of README and docs can be typed', async () => {
  const { subcommands } = await describeProgram(SUBCOMMANDS);
  const pages = ['README.md', ...new Glob('docs/*.md').scanSync(ROOT)].sort();
  const told = await Promise.all(
    pages
      .filter((page) => !OTHER_PAGES.includes(page))
      .map(async (page) => {
        const text = await Bun.file(join(ROOT, page)).text();
        return [...text.matchAll(COMMAND)].map(([, line = '']) => ({ page, line }));
      }),
  );
  const problems = told.flat().flatMap(({ page, line }) => {
    const problem = problemOf(line, subcommands);
    return problem === undefined ? [] : [`${page}: ${line}: ${problem}`];
  });
  expect(told.flat().length).toBeGreaterThan(100);
  expect(problems).toEqual([]);
});
