import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { configPage } from '../../scripts/docs.ts';
import { describeSettings } from '../../src/config/describe.ts';
import { ERROR_CODES } from '../../src/core/errors.ts';

const docs = (name: string) => Bun.file(join(import.meta.dir, '../../docs', name)).text();

test('docs/config.md is what the schema says: bun scripts/docs.ts writes it', async () => {
  expect(await docs('config.md')).toBe(configPage());
});

test('docs/TROUBLESHOOTING.md has a section for each error code, and no other', async () => {
  const headings = (await docs('TROUBLESHOOTING.md')).matchAll(/^## (.*)$/gm);
  expect([...headings].map(([, code]) => code)).toEqual([...ERROR_CODES]);
});

test('install.sh knows the variable of each setting, to tell whether it has arrived', async () => {
  const script = await Bun.file(join(import.meta.dir, '../../install.sh')).text();
  const lists = script.match(/^(?:PLAIN|SECRET)_VARIABLES='[^']*'/gm)?.join(' ') ?? '';
  const variables = describeSettings().flatMap(({ meta }) => meta.env ?? []);
  expect(lists.match(/\w+/g)).toEqual(expect.arrayContaining(variables));
});
