import { AgentError } from './errors.ts';
import { BUILD } from './version.ts';

/**
 * The error for a file of ours that only a newer agent can read. The file stays as it is: set aside
 * or rewritten, it would be lost to the newer agent.
 * @param safe what was not touched, for the person who reads it
 */
export function stateNewer(
  path: string,
  needs: { readonly reader: number; readonly known: number },
  safe: string,
): AgentError {
  return new AgentError(
    'STATE_NEWER',
    `${path} was written by a newer pipeops-agent, and this one (${BUILD.version}) cannot read it`,
    {
      hint: `Install the newer version again. Nothing was changed: ${safe}`,
      details: { path, needs_reader: needs.reader, reader: needs.known },
    },
  );
}
