import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { PAGES } from '../../scripts/docs.ts';
import { shownCodes } from '../../scripts/shown-codes.ts';
import { describeSettings } from '../../src/config/describe.ts';
import { ERROR_CODES } from '../../src/core/errors.ts';
import { EXIT_CODES } from '../../src/core/exit-codes.ts';

const docs = (name: string) => Bun.file(join(import.meta.dir, '../../docs', name)).text();

test.each(Object.entries(PAGES))(
  'docs/%s is what the sources say: bun scripts/docs.ts writes it',
  async (name, page) => {
    expect(await docs(name)).toBe(await page());
  },
);

test('docs/CLI.md says of each array and record of --json what is in it', async () => {
  const page = await docs('CLI.md');
  const types = [...page.matchAll(/^\| `[^`]+` \| (.*) \|$/gm)].map(([, type = '']) => type);
  expect(types.filter((type) => /\barrays?\b(?! of)/.test(type))).toEqual([]);
  for (const row of [
    '| `networks.pods` | array of strings |',
    '| `plan[].commands` | array of arrays of strings |',
    '| `pods` | array of objects or null |',
    '| `pods[].cpu` | number |',
    '| `workloads.pods.by_phase` | object of integers by name |',
    '| `tokens[].role` | `"server"` or `"agent"` |',
    // Of a field with several shapes, those of all.
    '| `steps[].needed` | boolean |',
  ]) {
    expect(page).toContain(`${row}\n`);
  }
});

test.each([
  ['ARCHITECTURE.md', /^## Exit codes$([^#]*)/m],
  ['INSTALL.md', /^\*\*Exit codes\*\*([^#]*)/m],
] as const)('docs/%s explains the exit codes as the program does', async (name, section) => {
  const table = section.exec(await docs(name))?.[1] ?? '';
  // Behind a colon a page may say more.
  const rows = [...table.matchAll(/^\| ([\d, ]+?) +\| (.*?)(?:: .*?)? +\|/gm)].flatMap(
    ([, codes = '', meaning]) => codes.split(', ').map((code) => ({ code: Number(code), meaning })),
  );
  expect(rows).toEqual([...EXIT_CODES]);
});

test('docs/TROUBLESHOOTING.md has a section for each code that can be shown, and no other', async () => {
  const headings = (await docs('TROUBLESHOOTING.md')).matchAll(/^## (?!(?:Checks|Health)$)(.*)$/gm);
  expect([...headings].map(([, code]) => code).sort()).toEqual([...(await shownCodes())]);
});

test('the codes that can be shown are found in the sources: errors, reasons, refusals, the installer', async () => {
  const found = await shownCodes();
  expect(ERROR_CODES.filter((code) => !found.includes(code))).toEqual([]);
  const others = ['NOT_REGISTERED', 'LOCAL_TOKEN_REJECTED', 'FOREIGN_HOST', 'FOREIGN_ORIGIN'];
  expect(found).toEqual(expect.arrayContaining(others));
});

test('install.sh knows the variable of each setting, to tell whether it has arrived', async () => {
  const script = await Bun.file(join(import.meta.dir, '../../install.sh')).text();
  const lists = script.match(/^(?:PLAIN|SECRET)_VARIABLES='[^']*'/gm)?.join(' ') ?? '';
  const variables = describeSettings().flatMap(({ meta }) => meta.env ?? []);
  expect(lists.match(/\w+/g)).toEqual(expect.arrayContaining(variables));
});
