/**
 * Exported names that nobody imports: what is exported asks to be kept, so it must be for somebody.
 * Checked by `scripts/check-layers.ts`.
 *
 * A value must be imported by another file of the program. A limit (`LIMIT_MS`) may be exported for
 * its tests alone: they take the number from it and do not repeat it. So may what is in `protocol/`,
 * where tests are the other side of the wire. A type may also stand in what its own file says;
 * TypeScript then shows its name to those who use that.
 */

import { dirname, join, normalize } from 'node:path';

/** Exported for tests alone although it is no limit, and why. */
const FOR_TESTS: Readonly<Record<string, string>> = {
  'src/cli/help.ts#shownFlags': 'the docs are compared with the flags that help shows',
  'src/daemon/unit-status.ts#statusText': 'one line of text, whatever its length',
  'src/server/api/openapi.ts#parametersOf': 'docs/API.md lists them',
  'src/server/tls-listener.ts#connectionDeps': 'a fuzzer feeds its connections without sockets',
};

export interface ImportingFile {
  /** Path below the root, such as `src/core/errors.ts`. */
  readonly path: string;
  readonly text: string;
}

const EXPORTED =
  /^export (?:async |abstract )?(function\*?|class|const|let|interface|type|enum) (\w+)/gm;
const LIMIT = /^[A-Z][A-Z0-9_]*$/;

/** One sentence for each exported name below src that nobody needs exported. */
export function unusedExports(files: readonly ImportingFile[]): readonly string[] {
  const importers = importersOf(files);
  return files
    .filter(({ path }) => path.startsWith('src/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(EXPORTED)].flatMap(([, kind = '', name = '']) => {
        const by = importers.get(`${path}#${name}`) ?? new Set<string>();
        return isUsed({ path, text }, kind, name, by)
          ? []
          : [`${path}: exports ${name}, which ${nobody(by)}: make it the file's own, or remove it`];
      }),
    );
}

function nobody(by: ReadonlySet<string>): string {
  return by.size === 0 ? 'nobody imports' : 'only tests import';
}

function isUsed(
  { path, text }: ImportingFile,
  kind: string,
  name: string,
  by: ReadonlySet<string>,
): boolean {
  if ([...by].some((importer) => importer.startsWith('src/'))) {
    return true;
  }
  if (kind === 'interface' || kind === 'type') {
    return by.size > 0 || (text.match(new RegExp(`\\b${name}\\b`, 'g')) ?? []).length > 1;
  }
  const mayBeForTests =
    LIMIT.test(name) ||
    path.startsWith('src/protocol/') ||
    Object.hasOwn(FOR_TESTS, `${path}#${name}`);
  return by.size > 0 && mayBeForTests;
}

/** Who imports `path#name`. Of a module that is imported as a whole, every word of the importer counts. */
function importersOf(files: readonly ImportingFile[]): ReadonlyMap<string, ReadonlySet<string>> {
  const importers = new Map<string, Set<string>>();
  const note = (importer: string, target: string, name: string) => {
    const key = `${normalize(join(dirname(importer), target))}#${name}`;
    importers.set(key, (importers.get(key) ?? new Set()).add(importer));
  };
  const listed = /(?:import|export)\s+(?:type\s+)?(?:\w+,\s*)?\{([^}]*)\}\s*from\s*'(\.[^']+)'/g;
  const whole = /import\(\s*'(\.[^']+)'\s*\)|\* as \w+ from '(\.[^']+)'/g;
  for (const { path, text } of files) {
    for (const [, names = '', target = ''] of text.matchAll(listed)) {
      for (const each of names.split(',')) {
        note(
          path,
          target,
          each
            .trim()
            .replace(/^type /, '')
            .replace(/ as .*$/, ''),
        );
      }
    }
    for (const [, imported, star] of text.matchAll(whole)) {
      for (const word of new Set(text.match(/\w+/g))) {
        note(path, imported ?? star ?? '', word);
      }
    }
  }
  return importers;
}
