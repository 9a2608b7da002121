/** What changes in a text, as diff(1) shows it with `-u`. */

/** Lines that are shown before and behind a change. */
const CONTEXT_LINES = 3;
/** Lines before times lines after that are compared one by one (some ms); of more, all count as changed. */
const COMPARED_MAX = 250_000;

interface Line {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
}

/**
 * @param before undefined where there is no such file
 * @returns empty where both are the same; a text without a newline at its end is shown as one with it
 */
export function unifiedDiff(path: string, before: string | undefined, after: string): string {
  if (before === after) {
    return '';
  }
  const hunks = hunksOf(compared(linesOf(before ?? ''), linesOf(after)));
  return [`--- ${before === undefined ? '/dev/null' : path}`, `+++ ${path}`, ...hunks, ''].join(
    '\n',
  );
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** Both texts as one list: what they have in common stands there once. */
function compared(before: readonly string[], after: readonly string[]): readonly Line[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) {
    head += 1;
  }
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) {
    tail += 1;
  }
  const same = (texts: readonly string[]): readonly Line[] =>
    texts.map((text) => ({ mark: ' ', text }));
  return [
    ...same(before.slice(0, head)),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** By the longest common subsequence. */
function middle(before: readonly string[], after: readonly string[]): readonly Line[] {
  const common =
    before.length * after.length > COMPARED_MAX ? undefined : commonLengths(before, after);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [old = '', next = ''] = [before[i], after[j]];
    if (common !== undefined && i < before.length && j < after.length && old === next) {
      lines.push({ mark: ' ', text: old });
      i += 1;
      j += 1;
    } else if (i < before.length && (common?.[i + 1]?.[j] ?? 0) >= (common?.[i]?.[j + 1] ?? 0)) {
      lines.push({ mark: '-', text: old });
      i += 1;
    } else {
      lines.push({ mark: '+', text: next });
      j += 1;
    }
  }
  return lines;
}

/** At [i][j]: how many lines the texts from there on have in common, in order. */
function commonLengths(
  before: readonly string[],
  after: readonly string[],
): readonly Uint16Array[] {
  const lengths = Array.from(
    { length: before.length + 1 },
    () => new Uint16Array(after.length + 1),
  );
  for (let i = before.length - 1; i >= 0; i -= 1) {
    const [row, below] = [lengths[i] as Uint16Array, lengths[i + 1] as Uint16Array];
    for (let j = after.length - 1; j >= 0; j -= 1) {
      row[j] =
        before[i] === after[j]
          ? (below[j + 1] as number) + 1
          : Math.max(below[j] as number, row[j + 1] as number);
    }
  }
  return lengths;
}

function hunksOf(lines: readonly Line[]): readonly string[] {
  const shown = new Set<number>();
  for (const [at, { mark }] of lines.entries()) {
    if (mark !== ' ') {
      for (let near = at - CONTEXT_LINES; near <= at + CONTEXT_LINES; near += 1) {
        shown.add(near);
      }
    }
  }
  const texts: string[] = [];
  const next = { '-': 1, '+': 1 };
  let hunk: Line[] = [];
  let start = { ...next };
  const close = () => {
    if (hunk.length > 0) {
      const [old, now] = [rangeOf(hunk, '-', start['-']), rangeOf(hunk, '+', start['+'])];
      texts.push(`@@ -${old} +${now} @@`, ...hunk.map(({ mark, text }) => `${mark}${text}`));
    }
    hunk = [];
  };
  for (const [at, line] of lines.entries()) {
    if (shown.has(at)) {
      start = hunk.length === 0 ? { ...next } : start;
      hunk.push(line);
    } else {
      close();
    }
    next['-'] += line.mark === '+' ? 0 : 1;
    next['+'] += line.mark === '-' ? 0 : 1;
  }
  close();
  return texts;
}

/** `first,count`; of none the line before counts. */
function rangeOf(hunk: readonly Line[], mark: '-' | '+', first: number): string {
  const count = hunk.filter((line) => line.mark === ' ' || line.mark === mark).length;
  return `${count === 0 ? first - 1 : first},${count}`;
}
