import { MALFORMED_TYPE } from '../../control-plane/session/read-command.ts';
import { AgentError } from '../../core/errors.ts';
import type { CommandHandler } from './handler.ts';

/** Answers a message that came as a command but cannot be read as one. */
export const malformed: CommandHandler = {
  type: MALFORMED_TYPE,
  afterRestart: 'rerun',
  priority: 'urgent',
  prepare: (payload) => {
    const problems = problemsOf(payload);
    throw new AgentError('COMMAND_INVALID', `Cannot read the command: ${problems.join('; ')}`, {
      hint: 'Correct the command; docs/COMMANDS.md lists the fields',
      details: { problems },
    });
  },
};

function problemsOf(payload: unknown): readonly string[] {
  const given =
    typeof payload === 'object' && payload !== null && 'problems' in payload
      ? payload.problems
      : undefined;
  return Array.isArray(given) ? given.map(String) : ['it is malformed'];
}
