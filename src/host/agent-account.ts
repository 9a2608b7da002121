import { AgentError } from '../core/errors.ts';
import type { Exec, Files } from '../core/ports.ts';
import { diskFull } from './disk-full.ts';
import { type HostInventory, recordNew } from './inventory.ts';
import { AGENT_USER, CONFIG_DIRECTORY, STATE_DIRECTORY } from './paths.ts';
import type { Step } from './steps.ts';

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
    touches: [`user ${AGENT_USER}`, STATE_DIRECTORY, CONFIG_DIRECTORY],
    isDone: async () =>
      (await userExists(deps.files)) &&
      (await deps.files.stat(STATE_DIRECTORY)) !== undefined &&
      (await deps.files.stat(CONFIG_DIRECTORY)) !== undefined,
    apply: async () => {
      if (!(await userExists(deps.files))) {
        await inventory.record({ kind: 'user', name: AGENT_USER });
        await addUser(deps);
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

async function userExists(files: Files): Promise<boolean> {
  const passwd = (await files.readText('/etc/passwd')) ?? '';
  return passwd.split('\n').some((line) => line.startsWith(`${AGENT_USER}:`));
}

async function addUser(deps: Deps): Promise<void> {
  const argv = [
    'useradd',
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    STATE_DIRECTORY,
    '--shell',
    '/usr/sbin/nologin',
    AGENT_USER,
  ] as const;
  const result = await deps.exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw (
      diskFull(result.stderr, `make the user "${AGENT_USER}"`, '/etc/passwd') ??
      new AgentError('TOOL_FAILED', `Cannot make the user "${AGENT_USER}": ${result.stderr}`, {
        hint: 'Check /etc/passwd and /etc/group, then run the same command again',
        details: { argv: [...argv], exit: result.exitCode },
      })
    );
  }
}
