import { Command } from '../../protocol/rest.ts';

/**
 * The type given to a message that has an id but cannot be read as a command: it is accepted, and
 * answered.
 */
export const MALFORMED_TYPE = 'malformed';

/**
 * Reads one command of the wire. A command with a usable id that is otherwise wrong is read as one
 * that the executor answers with COMMAND_INVALID and the problems: once, like every other.
 * @returns the command, or what is wrong when there is no id to answer to
 */
export function readCommand(raw: unknown): Command | string {
  const parsed = Command.safeParse(raw);
  if (parsed.success) {
    return parsed.data;
  }
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  const id = Command.shape.id.safeParse((raw as { id?: unknown } | null)?.id);
  return id.success
    ? { id: id.data, type: MALFORMED_TYPE, payload: { problems } }
    : problems.join('; ');
}
