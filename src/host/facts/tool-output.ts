import { expectedError } from '../../core/errors.ts';
import type { Exec } from '../../core/ports.ts';

const TOOL_TIMEOUT_MS = 2_000;

interface Deps {
  readonly exec: Exec;
  readonly signal: AbortSignal;
}

type Argv = readonly [string, ...string[]];

/** What a tool prints, for a fact that can do without; undefined where it is not there, hangs or fails. */
export async function outputOf(deps: Deps, argv: Argv): Promise<string | undefined> {
  try {
    return await answerOf(deps, argv);
  } catch {
    return undefined;
  }
}

/**
 * The same where a tool that hangs is not one that is not there.
 * @throws AgentError TIMEOUT
 */
export async function answerOf({ exec, signal }: Deps, argv: Argv): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await exec.run(argv, { timeoutMs: TOOL_TIMEOUT_MS, signal });
    return exitCode === 0 ? stdout : undefined;
  } catch (thrown) {
    if (expectedError(thrown).code === 'TOOL_MISSING') {
      return undefined;
    }
    throw thrown;
  }
}
