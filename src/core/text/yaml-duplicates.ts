/** Keys that stand twice in one YAML mapping. The parser takes the last of them without a word. */

/** Dashes of list items, then a key, plain or quoted, and what follows it on its line. */
const BLOCK_KEY =
  /^( *(?:- +)*)("(?:[^"\\]|\\.)*" *|'[^']*' *|[^\s"'#{}[\],&*!|>%@`-][^:#]*):(?=\s|$)(.*)$/;
/** A text over several lines begins. */
const BLOCK_TEXT = /^\s+[|>][-+\d]*\s*(#.*)?$/;
/** In `{a: 1, b: [c]}`: quoted texts, comments, marks and words. */
const FLOW_TOKENS =
  /"(?:[^"\\]|\\.)*"|'[^']*'|\s#.*$|[{}[\],]|:(?=[\s,}\]]|$)|(?:[^\s{}[\],:]|:(?=[^\s,}\]]))+/g;

interface Mapping {
  readonly column: number;
  readonly path: string;
  readonly keys: Set<string>;
  last: string;
}

/** @returns for each that does: `line 7: http.port stands there twice` */
export function duplicateKeys(text: string): readonly string[] {
  const found: string[] = [];
  const flow = flowReader();
  let open: readonly Mapping[] = [];
  let textColumn: number | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const indent = line.length - line.trimStart().length;
    const note = (path: string) => found.push(`line ${index + 1}: ${path} stands there twice`);
    if (line.trim() === '' || (textColumn !== undefined && indent > textColumn)) {
      continue;
    }
    textColumn = undefined;
    const match = flow.isOpen() ? null : BLOCK_KEY.exec(line);
    if (match === null) {
      flow.read(line).forEach(note);
      continue;
    }
    const [, before = '', quoted = '', value = ''] = match;
    const key = quoted.trimEnd().replace(/^["']|["']$/g, '');
    // Each item of a list begins a mapping of its own.
    const isItem = before.includes('-');
    const outer = open.filter(({ column }) => column < before.length);
    const same = isItem ? undefined : open.find(({ column }) => column === before.length);
    const parent = outer.at(-1);
    const path = parent === undefined ? '' : `${parent.path}${parent.last}.`;
    const mapping = same ?? { column: before.length, path, keys: new Set<string>(), last: '' };
    if (mapping.keys.has(key)) {
      note(`${mapping.path}${key}`);
    }
    mapping.keys.add(key);
    mapping.last = key;
    open = [...outer, mapping];
    textColumn = BLOCK_TEXT.test(value) ? indent : undefined;
    if (/^\s*[{[]/.test(value)) {
      flow.read(value).forEach(note);
    }
  }
  return found;
}

/** Reads `{…}` and `[…]`, which may go over lines. @returns the keys that stand twice in one */
function flowReader() {
  let open: (Set<string> | 'list')[] = [];
  let word = '';
  return {
    isOpen: () => open.length > 0,
    read: (line: string): readonly string[] => {
      const found: string[] = [];
      for (const [token] of line.matchAll(FLOW_TOKENS)) {
        const here = open.at(-1);
        if (token === '{' || token === '[') {
          open = [...open, token === '{' ? new Set() : 'list'];
        } else if (token === '}' || token === ']') {
          open = open.slice(0, -1);
        } else if (token === ':' && here instanceof Set) {
          if (here.has(word)) {
            found.push(word);
          }
          here.add(word);
        } else if (!token.startsWith(' #')) {
          word = token.replace(/^["']|["']$/g, '');
        }
      }
      return found;
    },
  };
}
