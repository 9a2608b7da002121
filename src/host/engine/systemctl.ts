import { AgentError } from '../../core/errors.ts';
import type { Exec } from '../../core/ports.ts';
import { diskFull } from './disk-full.ts';
import type { Command } from './resource.ts';

/** systemd answers in well under a second, unless the machine is very busy. */
const QUERY_TIMEOUT_MS = 30_000;
/** Stopping k3s waits for its processes. */
const CHANGE_TIMEOUT_MS = 180_000;
/** Where systemctl makes its links. */
const UNIT_DIRECTORY = '/etc/systemd/system';

/** What systemd needs once a unit file is another one. */
export const DAEMON_RELOAD: Command = ['systemctl', 'daemon-reload'];

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

/** Properties of a unit by name (org.freedesktop.systemd1(5)); what systemd does not know is absent. */
export async function unitProperties(
  deps: Deps,
  unit: string,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const argv = ['systemctl', 'show', `--property=${names.join(',')}`, unit] as const;
  const { stdout } = await deps.exec.run(argv, { timeoutMs: QUERY_TIMEOUT_MS });
  const lines = stdout.split('\n').map((line) => line.split('='));
  return Object.fromEntries(lines.map(([name = '', ...value]) => [name, value.join('=')]));
}

/** Whether the file of one of these units is another one than systemd has read. */
export async function needReload(deps: Deps, units: readonly string[]): Promise<boolean> {
  const argv = ['systemctl', 'show', '--property=NeedDaemonReload', ...units] as const;
  const { stdout } = await deps.exec.run(argv, { timeoutMs: QUERY_TIMEOUT_MS });
  return stdout.split('\n').includes('NeedDaemonReload=yes');
}

/** Running or about to run: a start that nobody waits for is at first only a queued job. */
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
    const full = diskFull(result.stderr, `run systemctl ${args.join(' ')}`, UNIT_DIRECTORY);
    if (full !== undefined) {
      throw full;
    }
    throw new AgentError('TOOL_FAILED', `systemctl ${args.join(' ')} failed: ${result.stderr}`, {
      hint: `Look at: systemctl status ${args.at(-1) ?? ''}`,
      details: { argv: ['systemctl', ...args], exit: result.exitCode },
    });
  }
}

/** systemd remembers a unit that has failed, also when its file is gone. */
export async function forgetFailure({ exec }: Deps, unit: string): Promise<void> {
  // It fails where there is nothing to forget: "not loaded".
  await exec.run(['systemctl', 'reset-failed', unit], { timeoutMs: QUERY_TIMEOUT_MS });
}

/** The last lines of a unit's journal, oldest first; empty when there is none. */
export async function lastJournalLines(
  deps: Deps,
  unit: string,
  lines: number,
): Promise<readonly string[]> {
  const result = await deps.exec.run(
    ['journalctl', '--unit', unit, '--lines', String(lines), '--no-pager', '--output', 'cat'],
    { timeoutMs: QUERY_TIMEOUT_MS },
  );
  return result.stdout.split('\n').filter((line) => line.trim() !== '');
}
