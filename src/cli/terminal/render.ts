import type { AgentError } from '../../core/errors.ts';
import { redact } from '../../core/text/redact.ts';
import { visibleLine } from '../../core/text/visible.ts';

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

/** Lines with the values of each column below each other; no value forges a line of its own. */
export function renderTable(values: readonly (readonly string[])[]): string {
  const rows = values.map((row) => row.map(visibleLine));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, { length }] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, length);
    }
  }
  const line = (row: readonly string[]) =>
    row.map((value, column) =>
      column === row.length - 1 ? value : value.padEnd(widths[column] ?? 0),
    );
  return rows.map((row) => `${line(row).join('  ')}\n`).join('');
}
