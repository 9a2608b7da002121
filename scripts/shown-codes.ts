/** Every code that a person or the control plane can be shown, as the sources write them. */
import { join } from 'node:path';
import { Glob } from 'bun';

const ROOT = join(import.meta.dir, '..');
const SOURCES = new Glob('src/**/*.ts');
const SCRIPTS = new Glob('{install.sh,scripts/*.sh}');

/** Where a code stands in TypeScript; each group is one, or several as `'A' | 'B'`. */
const IN_SOURCES = [
  /^ {2}([A-Z][A-Z0-9_]*): \{ exit:/gm, // A key of the table of errors.
  /\bcode: ((?:(?: \| )?'[A-Z][A-Z0-9_]*')+)/g,
  /\bcode (?:\?\?|=) ('[A-Z][A-Z0-9_]*')/g, // `const code = error?.code ?? 'X'`
  /\b(?:AgentError|problem|refusal)\(\s*(?:[^\n()]*, )?('[A-Z][A-Z0-9_]*')/g,
];
/** `fail EXIT_CODE CODE`, and a message that ends with `[CODE]`. */
const IN_SCRIPTS = [/\bfail \d+ ([A-Z][A-Z0-9_]*)/g, /\[([A-Z][A-Z0-9]*_[A-Z0-9_]*)\]/g];

/** Each code once, sorted. */
export async function shownCodes(): Promise<readonly string[]> {
  const codes = new Set<string>();
  for (const [files, patterns] of [
    [SOURCES, IN_SOURCES],
    [SCRIPTS, IN_SCRIPTS],
  ] as const) {
    for await (const path of files.scan(ROOT)) {
      collect(codes, await Bun.file(join(ROOT, path)).text(), patterns);
    }
  }
  return [...codes].sort();
}

function collect(into: Set<string>, text: string, patterns: readonly RegExp[]): void {
  for (const pattern of patterns) {
    for (const [, found = ''] of text.matchAll(pattern)) {
      for (const [code] of found.matchAll(/[A-Z][A-Z0-9_]*/g)) {
        into.add(code);
      }
    }
  }
}
