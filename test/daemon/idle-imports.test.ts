/**
 * What every daemon holds for good, because its files import it at once. What few daemons need, or only when somebody
 * asks, is loaded then (docs/decisions/0025-lean.md).
 */
import { expect, test } from 'bun:test';
import { dirname, join, relative } from 'node:path';

const SOURCES = join(import.meta.dir, '../../src');
const transpiler = new Bun.Transpiler({ loader: 'ts' });

/** Files below `src/` and packages that a file brings with it; types bring nothing. */
async function broughtBy(entry: string): Promise<ReadonlySet<string>> {
  const brought = new Set([entry]);
  for (const path of brought) {
    if (path.endsWith('.ts')) {
      const text = await Bun.file(join(SOURCES, path)).text();
      for (const { kind, path: name } of transpiler.scanImports(text)) {
        if (kind === 'import-statement') {
          const from = join(SOURCES, dirname(path));
          brought.add(name.startsWith('.') ? relative(SOURCES, join(from, name)) : name);
        }
      }
    }
  }
  return brought;
}

/** Schemas: those of the local API alone are 1 MiB of heap. */
const SCHEMAS = ['protocol/local-api-table.ts', 'protocol/json-documents.ts', 'protocol/helper.ts'];

test.each([
  [
    'the daemon',
    'daemon/compose.ts',
    ['machine/look-around.ts', 'protocol/files/release.ts', 'node:net'],
  ],
  ['its hourly look at the machine', 'machine/look-around.ts', ['machine/ask-daemon.ts']],
])('%s brings nothing that it does not need', async (_, entry, unneeded) => {
  const brought = await broughtBy(entry);
  expect(brought.size).toBeGreaterThan(100);
  const heavy = [
    ...SCHEMAS,
    ...unneeded,
    'node:zlib',
    'node:http',
    'js-yaml',
    '@opentelemetry/api',
  ];
  expect(heavy.filter((name) => brought.has(name))).toEqual([]);
});
