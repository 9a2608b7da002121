import { type AgentError, isErrorCode } from './errors.ts';
import { redact } from './text/redact.ts';

/** An error for a person: what, why it matters to them, what to do. */
export function renderError(error: AgentError): string {
  const lines = [`pipeops-agent: error: ${error.message} [${error.code}]`];
  if (error.hint !== undefined) {
    lines.push(`pipeops-agent: hint: ${error.hint}`);
  }
  return redact(`${lines.join('\n')}\n`);
}

const RENDERED =
  /^pipeops-agent: error: ([\s\S]*?) \[([A-Z][A-Z0-9_]*)\](?:$|\n(?:pipeops-agent: hint: (.*))?)/;

/** The last error that another process of ours rendered into these lines: what it ended with. */
export function errorInLines(
  lines: readonly string[],
): Pick<AgentError, 'code' | 'message' | 'hint'> | undefined {
  const begin = lines.findLastIndex((line) => line.startsWith('pipeops-agent: error: '));
  const [, message = '', code = '', hint] = RENDERED.exec(lines.slice(begin).join('\n')) ?? [];
  return begin < 0 || !isErrorCode(code) ? undefined : { code, message, hint };
}
