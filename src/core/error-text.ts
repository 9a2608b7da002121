import { AgentError, isErrorCode } from './errors.ts';
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

/** The last error that was rendered into these lines: what another process of ours ended with. */
export function errorInLines(lines: readonly string[]): AgentError | undefined {
  const begin = lines.findLastIndex((line) => line.startsWith('pipeops-agent: error: '));
  const [, message = '', code = '', hint] = RENDERED.exec(lines.slice(begin).join('\n')) ?? [];
  if (begin < 0 || !isErrorCode(code)) {
    return undefined;
  }
  return new AgentError(code, message, {
    hint: hint ?? `See the pages of its error codes: ${code}`,
  });
}
