/**
 * Every code that a person or the control plane can be shown, found in the sources: in them a text of
 * capitals and underscores is such a code, unless its line or its use says that it is something else.
 */
import { join } from 'node:path';
import { Glob } from 'bun';

const ROOT = join(import.meta.dir, '..');
const SOURCES = new Glob('src/**/*.ts');

/** A text in quotes; one word alone only where it is said to be a code. */
const QUOTED = /'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)'|\bcode: '([A-Z][A-Z0-9]*)'/g;
/** A key of the table of errors. */
const TABLE_KEY = /^ {2}([A-Z][A-Z0-9_]*): \{ exit:/gm;
/** `fail EXIT_CODE CODE` of the shell scripts. */
const SHELL_FAILURE = /\bfail \d+ ([A-Z][A-Z0-9_]*)|\[([A-Z][A-Z0-9]*_[A-Z0-9_]+)\]/g;
const SCRIPTS = [
  'install.sh',
  'scripts/join-worker.sh',
  'scripts/cluster-info.sh',
  'scripts/uninstall.sh',
];

/** Names of environment variables, by how they are used: `env['X']`, `env: 'X'`, and the like. */
const VARIABLE =
  /'([A-Z_]+_PROXY)'|(?:\benv(?:ironment)?\??\.?\[|\benv: |fromEnvironment\(\w+, )'([A-Z][A-Z0-9_]*)'/g;

/** Each code once, sorted. @param elsewhere texts of the same look that are known to be no codes */
export async function shownCodes(elsewhere: readonly string[]): Promise<readonly string[]> {
  const codes = new Set<string>();
  const variables = new Set<string>();
  for await (const path of SOURCES.scan(ROOT)) {
    const text = await Bun.file(join(ROOT, path)).text();
    collect(codes, text, QUOTED);
    collect(codes, text, TABLE_KEY);
    collect(variables, text, VARIABLE);
  }
  for (const path of SCRIPTS) {
    collect(codes, await Bun.file(join(ROOT, path)).text(), SHELL_FAILURE);
  }
  return [...codes].filter((code) => !variables.has(code) && !elsewhere.includes(code)).sort();
}

function collect(into: Set<string>, text: string, pattern: RegExp): void {
  for (const [, ...groups] of text.matchAll(pattern)) {
    for (const group of groups) {
      if (group !== undefined) {
        into.add(group);
      }
    }
  }
}
