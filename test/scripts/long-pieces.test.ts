import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Glob } from 'bun';

const ROOT = join(import.meta.dir, '../..');

test('CONTRIBUTING tells what each file of test/long does, and how long it takes', async () => {
  const page = await Bun.file(join(ROOT, 'CONTRIBUTING.md')).text();
  const rows = [
    ...page.matchAll(/^\| `(test\/long\/[^`]+)` *\| [^|]*\w[^|]* \| [^|]*\d min[^|]* \|$/gm),
  ];
  const files = [...new Glob('test/long/*.test.ts').scanSync({ cwd: ROOT })].sort();
  expect(rows.map(([, file]) => file)).toEqual(files);
});
