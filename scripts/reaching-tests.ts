/** Which tests a change can reach, by what imports what. */
import { dirname, join, normalize } from 'node:path';
import type { SourceFile } from './check-layers.ts';
import { importedNames } from './check-layers.ts';

export interface ReachingTest {
  readonly path: string;
  /** Imports between the change and the test; 0 for a test that was itself changed. */
  readonly distance: number;
}

/**
 * Tests that import a changed file, directly or by others, the nearest first.
 * @param files all that import or are imported, by paths below the project's folder
 */
export function reachingTests(
  files: readonly SourceFile[],
  changed: readonly string[],
): readonly ReachingTest[] {
  const importers = new Map<string, string[]>();
  for (const { path, text } of files) {
    for (const name of importedNames(text)) {
      const target = normalize(join(dirname(path), name));
      importers.set(target, [...(importers.get(target) ?? []), path]);
    }
  }
  const distances = new Map(changed.map((path) => [path, 0]));
  // A map hands out what is added while it is gone through: the nearest files come first.
  for (const [path, distance] of distances) {
    for (const importer of importers.get(path) ?? []) {
      if (!distances.has(importer)) {
        distances.set(importer, distance + 1);
      }
    }
  }
  return [...distances]
    .filter(([path]) => path.endsWith('.test.ts'))
    .map(([path, distance]) => ({ path, distance }));
}
