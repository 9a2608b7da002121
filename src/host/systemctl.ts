import { AgentError } from '../core/errors.ts';
import type { Exec } from '../core/ports.ts';

/** systemd answers in well under a second, unless the machine is very busy. */
const QUERY_TIMEOUT_MS = 30_000;
/** Stopping k3s waits for its processes. */
const CHANGE_TIMEOUT_MS = 180_000;

interface Deps {
  readonly exec: Exec;
}

export async function isActive(deps: Deps, unit: string): Promise<boolean> {
  const result = await deps.exec.run(['systemctl', 'is-active', '--quiet', unit], {
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  return result.exitCode === 0;
}

/** `active`, `activating`, `failed`, `inactive`, … (systemctl(1), "is-active"). */
export async function activeState(deps: Deps, unit: string): Promise<string> {
  const result = await deps.exec.run(
    ['systemctl', 'show', '--property=ActiveState', '--value', unit],
    { timeoutMs: QUERY_TIMEOUT_MS },
  );
  return result.stdout.trim();
}

/** Running, or on the way to it: a start that nobody waits for is a queued job at first. */
export async function isStartedOrStarting(deps: Deps, unit: string): Promise<boolean> {
  const result = await deps.exec.run(['systemctl', 'show', '--property=ActiveState,Job', unit], {
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  const property = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(result.stdout)?.[1];
  const job = property('Job') ?? '';
  return ['active', 'activating'].includes(property('ActiveState') ?? '') || /[1-9]/.test(job);
}

export async function isEnabled(deps: Deps, unit: string): Promise<boolean> {
  const result = await deps.exec.run(['systemctl', 'is-enabled', '--quiet', unit], {
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  return result.exitCode === 0;
}

/** Runs a verb that changes something. @throws AgentError TOOL_FAILED */
export async function systemctl(
  deps: Deps,
  ...args: readonly [string, ...string[]]
): Promise<void> {
  const result = await deps.exec.run(['systemctl', ...args], { timeoutMs: CHANGE_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `systemctl ${args.join(' ')} failed: ${result.stderr}`, {
      hint: `Look at: systemctl status ${args.at(-1) ?? ''}`,
      details: { argv: ['systemctl', ...args], exit: result.exitCode },
    });
  }
}

/** Which start of a unit this is (systemd.exec(5), INVOCATION_ID); '' when it never was started. */
export async function invocationOf(deps: Deps, unit: string): Promise<string> {
  const result = await deps.exec.run(
    ['systemctl', 'show', '--property=InvocationID', '--value', unit],
    { timeoutMs: QUERY_TIMEOUT_MS },
  );
  return result.stdout.trim();
}

/** The last lines of one start of a unit, oldest first: nothing of what it said at earlier ones. */
export function journalOfStart(
  deps: Deps,
  invocation: string,
  lines: number,
): Promise<readonly string[]> {
  return journal(deps, [`_SYSTEMD_INVOCATION_ID=${invocation}`], lines);
}

/** The last lines of a unit's journal, oldest first; empty when there is none. */
export function lastJournalLines(
  deps: Deps,
  unit: string,
  lines: number,
): Promise<readonly string[]> {
  return journal(deps, ['--unit', unit], lines);
}

async function journal(
  deps: Deps,
  match: readonly string[],
  lines: number,
): Promise<readonly string[]> {
  const result = await deps.exec.run(
    ['journalctl', ...match, '--lines', String(lines), '--no-pager', '--output', 'cat'],
    { timeoutMs: QUERY_TIMEOUT_MS },
  );
  return result.stdout.split('\n').filter((line) => line.trim() !== '');
}
