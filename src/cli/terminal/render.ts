import type { AgentError } from '../../core/errors.ts';
import { redact } from '../../core/text/redact.ts';
import { visibleLine, visibleText } from '../../core/text/visible.ts';
import { wrapText } from './wrap-text.ts';

/** An error for a program: one document on standard output, as with every `--json`. */
export function renderErrorJson(error: AgentError): string {
  const document = {
    error: {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.details === undefined ? {} : { details: error.details }),
    },
  };
  return redact(`${JSON.stringify(document, null, 2)}\n`);
}

/** `create /etc/example, keep /opt/example`. */
export function renderChanges(
  changes: readonly { readonly action: string; readonly target: string }[],
): string {
  return changes.map(({ action, target }) => `${action} ${target}`).join(', ');
}

/** What a plan would do, beside the names of its steps. */
interface Planned {
  readonly changes: readonly { readonly diff?: string }[];
  readonly commands: readonly (readonly string[])[];
}

/** What a plan would run and what it would write, in order: to be shown behind the list of its steps. */
export function renderDetails(plan: readonly Planned[]): string {
  const commands = plan.flatMap((step) => step.commands.map((argv) => `  ${commandLine(argv)}\n`));
  const diffs = plan.flatMap(({ changes }) => changes.flatMap(({ diff }) => diff ?? []));
  return [
    ...(commands.length === 0 ? [] : ['\nCommands, in order:\n', ...commands]),
    ...diffs.map((diff) => `\n${visibleText(diff)}`),
  ].join('');
}

/** As it is typed in a shell. */
function commandLine(argv: readonly string[]): string {
  const isPlain = (word: string) => /^[\w@%+=:,./-]+$/.test(word);
  const words = argv.map((word) => (isPlain(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  return visibleLine(words.join(' '));
}

/** Text wrapped to fewer columns than this is unreadable, so it is left unwrapped. */
const WRAPPED_COLUMNS_MIN = 20;

/**
 * A table of values in aligned columns; no value can forge a line.
 * @param columns the width to wrap the first and the last value of a row to; undefined: no wrapping
 */
export function renderTable(
  values: readonly (readonly string[])[],
  columns: number | undefined,
): string {
  const rows = values.map((row) => row.map((value) => [visibleLine(value)]));
  if (columns === undefined || widthsOf(rows).reduce(sumWithGap, -2) <= columns) {
    return lines(rows);
  }
  const half = Math.max(Math.floor(columns / 2) - 2, WRAPPED_COLUMNS_MIN);
  const narrowed = rows.map(([first = [], ...others]) => [
    wrapText(first.join(' '), half),
    ...others,
  ]);
  const room = columns - widthsOf(narrowed.map((row) => row.slice(0, -1))).reduce(sumWithGap, 0);
  return lines(
    room < WRAPPED_COLUMNS_MIN
      ? narrowed
      : narrowed.map((row) => [...row.slice(0, -1), wrapText(row.at(-1)?.join(' ') ?? '', room)]),
  );
}

/** A cell, as its lines. */
type Cell = readonly string[];

function lines(rows: readonly (readonly Cell[])[]): string {
  const widths = widthsOf(rows);
  return rows
    .flatMap((row) =>
      Array.from({ length: Math.max(...row.map(({ length }) => length), 1) }, (_, at) =>
        row
          .map((cell, column) => (cell[at] ?? '').padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      ),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function widthsOf(rows: readonly (readonly Cell[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, widest(cell));
    }
  }
  return widths;
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(({ length }) => length));
}

function sumWithGap(sum: number, width: number): number {
  return sum + width + 2;
}
