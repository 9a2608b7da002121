import type { Exec } from '../../core/ports.ts';

const TOOL_TIMEOUT_MS = 2_000;

interface Deps {
  readonly exec: Exec;
  readonly signal: AbortSignal;
}

/** What a tool prints, for a fact that can do without; undefined where it is not there, hangs or fails. */
export async function outputOf(
  { exec, signal }: Deps,
  argv: readonly [string, ...string[]],
): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await exec.run(argv, { timeoutMs: TOOL_TIMEOUT_MS, signal });
    return exitCode === 0 ? stdout : undefined;
  } catch {
    return undefined;
  }
}
