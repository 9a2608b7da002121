import { AgentError } from '../../core/errors.ts';
import { AGENT_USER } from '../../core/places.ts';
import type { Exec } from '../../core/ports.ts';

const TIMEOUT_MS = 30_000;
/** Directories that the unit hides from the daemon (ProtectHome=, PrivateTmp=). */
const HIDDEN = /^\/(root|home|run\/user|tmp|var\/tmp)\//;

/** Why the daemon cannot read a file that root can read; undefined if it can, or if that is not known. */
export async function unreadableForAgent(
  deps: { readonly exec: Exec },
  path: string,
): Promise<string | undefined> {
  if (HIDDEN.test(path)) {
    return `the agent's unit does not let it see ${path}`;
  }
  try {
    const argv = ['runuser', '-u', AGENT_USER, '--', 'test', '-r', path] as const;
    const { exitCode, stderr } = await deps.exec.run(argv, { timeoutMs: TIMEOUT_MS });
    // A message of runuser itself is about the user, who does not exist before the installation.
    return exitCode === 1 && stderr.trim() === ''
      ? `the agent, user ${AGENT_USER}, may not read ${path}`
      : undefined;
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return undefined;
    }
    throw thrown;
  }
}
