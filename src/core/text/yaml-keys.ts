/**
 * The keys of a YAML text and their lines. The parser does not tell lines, and of a key that is
 * twice in one mapping it silently takes the last.
 */

/** Dashes of list items, then a key, plain or quoted, and what follows it on its line. */
const BLOCK_KEY =
  /^( *(?:- +)*)("(?:[^"\\]|\\.)*" *|'[^']*' *|[^\s"'#{}[\],&*!|>%@`-][^:#]*):(?=\s|$)(.*)$/;
/** The beginning of a text over several lines. */
const BLOCK_TEXT = /^\s+[|>][-+\d]*\s*(#.*)?$/;
/** In `{a: 1, b: [c]}`: quoted texts, comments, marks and words. */
const FLOW_TOKENS =
  /"(?:[^"\\]|\\.)*"|'[^']*'|\s#.*$|[{}[\],]|:(?=[\s,}\]]|$)|(?:[^\s{}[\],:]|:(?=[^\s,}\]]))+/g;

export interface YamlKey {
  /** Dotted, without the places in lists: `http.port`, `resources.group`. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** Whether its mapping has it already. */
  readonly again: boolean;
}

interface Mapping {
  readonly prefix: string;
  readonly keys: Set<string>;
  last: string;
}

interface BlockMapping extends Mapping {
  readonly column: number;
}

/** Every key of the text, in its order. */
export function yamlKeys(text: string): readonly YamlKey[] {
  const found: YamlKey[] = [];
  const flow = flowReader();
  let open: readonly BlockMapping[] = [];
  let textColumn: number | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const indent = line.length - line.trimStart().length;
    const note = (key: Omit<YamlKey, 'line'>) => found.push({ ...key, line: index + 1 });
    if (line.trim() === '' || (textColumn !== undefined && indent > textColumn)) {
      continue;
    }
    textColumn = undefined;
    const match = flow.isOpen() ? null : BLOCK_KEY.exec(line);
    if (match === null) {
      flow.read(line, prefixAt(open, /^ *(?:- +)*/.exec(line)?.[0].length ?? 0)).forEach(note);
      continue;
    }
    const [, before = '', quoted = '', value = ''] = match;
    const outer = open.filter(({ column }) => column < before.length);
    // Each item of a list begins a mapping of its own.
    const same = before.includes('-')
      ? undefined
      : open.find(({ column }) => column === before.length);
    const prefix = prefixAt(outer, before.length);
    const mapping = same ?? { column: before.length, prefix, keys: new Set<string>(), last: '' };
    note(take(mapping, quoted.trimEnd()));
    open = [...outer, mapping];
    textColumn = BLOCK_TEXT.test(value) ? indent : undefined;
    if (/^\s*[{[]/.test(value)) {
      flow.read(value, within(mapping)).forEach(note);
    }
  }
  return found;
}

/** @returns for each key that does: `line 7: http.port stands there twice` */
export function duplicateKeys(text: string): readonly string[] {
  return yamlKeys(text)
    .filter(({ again }) => again)
    .map(({ path, line }) => `line ${line}: ${path} stands there twice`);
}

/** `line 7: `, of the first key of this path; empty where it cannot be found. */
export function lineOf(keys: readonly YamlKey[], path: string): string {
  const key = keys.find((each) => each.path === path);
  return key === undefined ? '' : `line ${key.line}: `;
}

/** The path that comes before a key at a column. */
function prefixAt(open: readonly BlockMapping[], column: number): string {
  const outer = open.findLast((each) => each.column < column);
  return outer === undefined ? '' : within(outer);
}

function take(mapping: Mapping, text: string): Omit<YamlKey, 'line'> {
  const key = text.replace(/^["']|["']$/g, '');
  const again = mapping.keys.has(key);
  mapping.keys.add(key);
  mapping.last = key;
  return { path: `${mapping.prefix}${key}`, again };
}

/** Reads `{…}` and `[…]`, which may go over lines. */
function flowReader() {
  let open: (Mapping | { readonly list: string })[] = [];
  let word = '';
  return {
    isOpen: () => open.length > 0,
    /** @param prefix of what begins on this line */
    read: (line: string, prefix: string): readonly Omit<YamlKey, 'line'>[] => {
      const found: Omit<YamlKey, 'line'>[] = [];
      for (const [token] of line.matchAll(FLOW_TOKENS)) {
        const here = open.at(-1);
        if (token === '{' || token === '[') {
          const inner = here === undefined ? prefix : within(here);
          const begun = { prefix: inner, keys: new Set<string>(), last: '' };
          open = [...open, token === '{' ? begun : { list: inner }];
        } else if (token === '}' || token === ']') {
          open = open.slice(0, -1);
        } else if (token === ':' && here !== undefined && 'keys' in here) {
          found.push(take(here, word));
        } else if (!token.startsWith(' #')) {
          word = token;
        }
      }
      return found;
    },
  };
}

function within(outer: Mapping | { readonly list: string }): string {
  return 'list' in outer ? outer.list : `${outer.prefix}${outer.last}.`;
}
