import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock } from '../../core/ports.ts';

/** Rows that are sorted at once: a few milliseconds. */
const SLICE_ROWS = 2_000;

type Value = string | number | boolean | null | undefined;

export interface PageQuery<Row> {
  readonly limit: number;
  readonly offset: number;
  /** A field of the rows; with `-` the largest first. */
  readonly sort: string;
  /** Which rows are wanted. */
  readonly wanted: (row: Row) => boolean;
}

/**
 * One page of many rows, sorted; equal ones by namespace and name. However many there are, only those up to
 * the end of the page are kept, and the event loop has its turns.
 */
export async function pageOf<Row extends object>(
  deps: { readonly clock: Clock },
  rows: readonly Row[],
  { limit, offset, sort, wanted }: PageQuery<Row>,
): Promise<{ total: number; offset: number; items: Row[] }> {
  const budget = loopBudget(deps);
  const compare = comparing<Row>(sort);
  let total = 0;
  let first: Row[] = [];
  for (let from = 0; from < rows.length; from += SLICE_ROWS) {
    const found = rows.slice(from, from + SLICE_ROWS).filter(wanted);
    total += found.length;
    first = first
      .concat(found)
      .sort(compare)
      .slice(0, offset + limit);
    if (budget.spent()) {
      await budget.rest();
    }
  }
  return { total, offset, items: first.slice(offset) };
}

function comparing<Row extends object>(sort: string): (a: Row, b: Row) => number {
  const descending = sort.startsWith('-');
  const field = descending ? sort.slice(1) : sort;
  return (a, b) => {
    const main = order(fieldOf(a, field), fieldOf(b, field));
    return main === 0 ? orderOfNames(a, b) : descending ? -main : main;
  };
}

/** Without a text of both: most rows of a phase are equal, and making one for each look takes the most time. */
function orderOfNames(a: object, b: object): number {
  const main = order(fieldOf(a, 'namespace'), fieldOf(b, 'namespace'));
  return main === 0 ? order(fieldOf(a, 'name'), fieldOf(b, 'name')) : main;
}

/** Rows are flat in the fields by which they can be sorted. */
function fieldOf(row: object, field: string): Value {
  return (row as Readonly<Record<string, Value>>)[field];
}

/** What is missing comes first. Not by the rules of a language: those take ten times as long. */
function order(a: Value, b: Value): number {
  if (a === b) {
    return 0;
  }
  return (a ?? '') < (b ?? '') ? -1 : 1;
}
