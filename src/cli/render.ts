import type { AgentError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';

/** An error for a person: what, why it matters to them, what to do. */
export function renderError(error: AgentError): string {
  const lines = [`pipeops-agent: error: ${error.message} [${error.code}]`];
  if (error.hint !== undefined) {
    lines.push(`pipeops-agent: hint: ${error.hint}`);
  }
  return redact(`${lines.join('\n')}\n`);
}

/** The same for a program: one document on standard output, as with every `--json`. */
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

/** `label  value` lines with the values in one column. */
export function renderTable(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}\n`).join('');
}
