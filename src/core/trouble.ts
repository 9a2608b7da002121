import { AgentError } from './errors.ts';
import { systemCode, systemWords } from './text/system-words.ts';

/** Characters that are kept of one of our texts when another text repeats it. */
const TEXT_LENGTH_MAX = 300;

/** What went wrong, as the end of a sentence of ours; one line, never a text of the runtime. */
export function troubleOf(thrown: unknown): string {
  if (thrown instanceof AgentError) {
    return oneLine(thrown.message);
  }
  const code = systemCode(thrown);
  if (code !== undefined) {
    return systemWords(code);
  }
  if (!(thrown instanceof Error)) {
    return 'it failed without a reason';
  }
  switch (thrown.name) {
    case 'TimeoutError':
      return 'it did not answer in time';
    case 'AbortError':
      return 'it was interrupted';
    case 'SyntaxError':
      return 'its answer cannot be read';
    case 'Error':
      return oneLine(thrown.message); // Thrown by ourselves: what others throw has a code or a name.
    default:
      return `an unexpected ${thrown.name}`;
  }
}

function oneLine(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return line.length > TEXT_LENGTH_MAX ? `${line.slice(0, TEXT_LENGTH_MAX)}…` : line;
}
