import { expect, test } from 'bun:test';
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '..');

test('nothing but these files is loaded before the version is told', async () => {
  expect([...(await loadedBy('src/main.ts'))].sort()).toEqual([
    'src/cli/version-answer.ts',
    'src/core/version.ts',
    'src/main.ts',
    'src/platform/own-environment.ts',
  ]);
});

/** The file, and the files and modules that are loaded before its first line runs. */
async function loadedBy(path: string, loaded = new Set<string>()): Promise<ReadonlySet<string>> {
  loaded.add(path);
  const text = await Bun.file(join(ROOT, path)).text();
  for (const found of new Bun.Transpiler({ loader: 'ts' }).scanImports(text)) {
    if (found.kind !== 'import-statement') {
      continue;
    }
    if (!found.path.startsWith('.')) {
      loaded.add(found.path);
    } else if (!loaded.has(join(path, '..', found.path))) {
      await loadedBy(join(path, '..', found.path), loaded);
    }
  }
  return loaded;
}
