import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { configPage } from '../../scripts/docs.ts';
import { ERROR_CODES } from '../../src/core/errors.ts';

const docs = (name: string) => Bun.file(join(import.meta.dir, '../../docs', name)).text();

test('docs/config.md is what the schema says: bun scripts/docs.ts writes it', async () => {
  expect(await docs('config.md')).toBe(configPage());
});

test('docs/TROUBLESHOOTING.md has a section for each error code, and no other', async () => {
  const headings = (await docs('TROUBLESHOOTING.md')).matchAll(/^## (.*)$/gm);
  expect([...headings].map(([, code]) => code)).toEqual([...ERROR_CODES]);
});
