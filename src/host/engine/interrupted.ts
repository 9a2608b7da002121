import { AgentError } from '../../core/errors.ts';

/**
 * The error for work that a signal ended and that a second run continues.
 * @param when follows "Interrupted"
 */
export function interrupted(when: string): AgentError {
  return new AgentError('INTERRUPTED', `Interrupted ${when}`, {
    hint: 'Run the same command again: it goes on where it ended',
  });
}
