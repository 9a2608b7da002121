import { AgentError } from '../../core/errors.ts';
import { AGENT_USER, CONFIG_DIRECTORY, STATE_DIRECTORY } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { diskFull } from '../engine/disk-full.ts';
import { type HostInventory, recordNew } from '../engine/inventory.ts';
import type { Step } from '../engine/steps.ts';

const TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/** The unprivileged user that the daemon runs as, and the directories that it is given. */
export function agentAccount(deps: Deps, inventory: HostInventory): Step {
  return {
    id: 'agent-account',
    title: 'Make the system user and the directories',
    touches: [`user and group ${AGENT_USER}`, STATE_DIRECTORY, CONFIG_DIRECTORY],
    isDone: async () =>
      (await isListed(deps.files, '/etc/passwd')) &&
      (await isListed(deps.files, '/etc/group')) &&
      (await deps.files.stat(STATE_DIRECTORY)) !== undefined &&
      (await deps.files.stat(CONFIG_DIRECTORY)) !== undefined,
    apply: async () => {
      if (!(await isListed(deps.files, '/etc/group'))) {
        await inventory.record({ kind: 'group', name: AGENT_USER });
        await makeAccount(deps, 'group', ['groupadd', '--system', AGENT_USER]);
      }
      if (!(await isListed(deps.files, '/etc/passwd'))) {
        await inventory.record({ kind: 'user', name: AGENT_USER });
        await makeAccount(deps, 'user', USERADD);
      }
      await recordNew(deps, inventory, { kind: 'directory', name: STATE_DIRECTORY });
      await deps.files.claimDirectory(STATE_DIRECTORY, {
        mode: 0o700,
        owner: `${AGENT_USER}:${AGENT_USER}`,
      });
      await recordNew(deps, inventory, { kind: 'directory', name: CONFIG_DIRECTORY });
      await deps.files.claimDirectory(CONFIG_DIRECTORY, {
        mode: 0o750,
        owner: `root:${AGENT_USER}`,
      });
    },
  };
}

/** @param database passwd(5) or group(5): both have the name first */
export async function isListed(files: Files, database: string): Promise<boolean> {
  const text = (await files.readText(database)) ?? '';
  return text.split('\n').some((line) => line.startsWith(`${AGENT_USER}:`));
}

const USERADD = [
  ...(['useradd', '--system', '--gid', AGENT_USER, '--no-create-home'] as const),
  ...(['--home-dir', STATE_DIRECTORY, '--shell', '/usr/sbin/nologin', AGENT_USER] as const),
] as const;

async function makeAccount(
  deps: Deps,
  kind: 'user' | 'group',
  argv: readonly [string, ...string[]],
): Promise<void> {
  const result = await deps.exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (result.exitCode !== 0) {
    const action = `make the ${kind} "${AGENT_USER}"`;
    throw (
      diskFull(result.stderr, action, '/etc/passwd') ??
      new AgentError('TOOL_FAILED', `Cannot ${action}: ${result.stderr}`, {
        hint: 'Check /etc/passwd and /etc/group, then run the same command again',
        details: { argv: [...argv], exit: result.exitCode },
      })
    );
  }
}
