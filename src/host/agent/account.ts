import { AgentError } from '../../core/errors.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { InventoryEntry } from '../../protocol/files/host-state.ts';
import { diskFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { claimPath, keepOriginal, originalOf } from '../engine/originals.ts';
import { changeOf, removePath } from '../engine/removals.ts';
import type { Change, Command, Removal, Resource } from '../engine/resource.ts';

const TIMEOUT_MS = 30_000;
const USER: InventoryEntry = { kind: 'user', name: AGENT_USER };
const GROUP: InventoryEntry = { kind: 'group', name: AGENT_USER };
/** The original under this name is a group of others: userdel(8) may remove it with the user. */
const GROUP_OF_OTHERS = `group ${AGENT_USER}`;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** The unprivileged user that the daemon runs as, and its directories. */
export function agentAccount(deps: Deps, inventory: HostInventory): Resource {
  const { stateDirectory, configDirectory } = deps.places;
  const state = { kind: 'directory', name: stateDirectory } as const;
  const config = { kind: 'directory', name: configDirectory } as const;
  return {
    id: 'agent-account',
    title: 'Make the system user and the directories',
    touches: [`user and group ${AGENT_USER}`, stateDirectory, configDirectory],
    entries: [GROUP, USER, state, config],
    isWanted: true,
    isDone: async () =>
      (await isListed(deps.files, '/etc/passwd')) &&
      (await isListed(deps.files, '/etc/group')) &&
      (await deps.files.stat(stateDirectory)) !== undefined &&
      (await deps.files.stat(configDirectory)) !== undefined,
    apply: async () => {
      await makeGroup(deps, inventory);
      await makeUser(deps, inventory);
      await claimPath(deps, inventory, state);
      await deps.files.claimDirectory(stateDirectory, {
        mode: 0o700,
        owner: `${AGENT_USER}:${AGENT_USER}`,
      });
      await claimPath(deps, inventory, config);
      await deps.files.claimDirectory(configDirectory, {
        mode: 0o750,
        owner: `root:${AGENT_USER}`,
      });
    },
    changes: async () => [
      await accountChange(deps, 'group', '/etc/group'),
      await accountChange(deps, 'user', '/etc/passwd'),
      await changeOf(deps, stateDirectory, inventory.has('directory', stateDirectory)),
      await changeOf(deps, configDirectory, inventory.has('directory', configDirectory)),
    ],
    commands: async () => [
      ...((await isListed(deps.files, '/etc/group')) ? [] : [GROUPADD]),
      ...((await isListed(deps.files, '/etc/passwd')) ? [] : [useradd(stateDirectory)]),
    ],
    undo: async ({ keepData }) => [
      ...(await removePath(deps, inventory, config)),
      ...(keepData ? [] : await removePath(deps, inventory, state)),
      ...(keepData ? [] : accountRemovals(deps, inventory)),
    ],
  };
}

async function accountChange(deps: Deps, kind: string, database: string): Promise<Change> {
  const action = (await isListed(deps.files, database)) ? 'keep' : 'create';
  return { action, target: `${kind} ${AGENT_USER}` };
}

async function makeGroup(deps: Deps, inventory: HostInventory): Promise<void> {
  if (!(await isListed(deps.files, '/etc/group'))) {
    await inventory.record(GROUP);
    await makeAccount(deps, 'group', GROUPADD);
  }
}

async function makeUser(deps: Deps, inventory: HostInventory): Promise<void> {
  if (await isListed(deps.files, '/etc/passwd')) {
    return;
  }
  const gid = await groupId(deps.files);
  if (gid !== undefined && !inventory.has('group', AGENT_USER)) {
    await keepOriginal(deps, { kind: 'group', name: GROUP_OF_OTHERS, gid: Number(gid) });
  }
  await inventory.record(USER);
  await makeAccount(deps, 'user', useradd(deps.places.stateDirectory));
}

/** @param database passwd(5) or group(5): both have the name first */
export async function isListed(files: Files, database: string): Promise<boolean> {
  const text = (await files.readText(database)) ?? '';
  return text.split('\n').some((line) => line.startsWith(`${AGENT_USER}:`));
}

const GROUPADD: Command = ['groupadd', '--system', AGENT_USER];

function useradd(home: string): Command {
  const shell = '/usr/sbin/nologin';
  const group = ['--gid', AGENT_USER];
  const login = ['--no-create-home', '--home-dir', home, '--shell', shell];
  return ['useradd', '--system', ...group, ...login, AGENT_USER];
}

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

function accountRemovals(deps: Deps, inventory: HostInventory): readonly Removal[] {
  const removals = [
    {
      entry: USER,
      originals: [GROUP_OF_OTHERS],
      commands: [['userdel', AGENT_USER]],
      run: () => removeUser(deps, inventory),
    },
    // userdel(8) has removed it already, unless others are in it.
    { entry: GROUP, originals: [], commands: [], run: () => removeGroup(deps) },
  ] as const;
  return removals
    .filter(({ entry }) => inventory.has(entry.kind, entry.name))
    .map(({ entry, originals, commands, run }) => ({
      title: `Remove ${entry.kind} ${entry.name}`,
      changes: [{ action: 'remove', target: `${entry.kind} ${entry.name}` }],
      commands,
      entries: [entry],
      originals,
      run,
    }));
}

/**
 * userdel(8) also removes the group of the same name. If that group was here before us, it is made again
 * with its number, because files belong to it.
 */
async function removeUser(deps: Deps, inventory: HostInventory): Promise<void> {
  const noted = await originalOf(deps, GROUP_OF_OTHERS);
  const gid = noted?.kind === 'group' ? String(noted.gid) : await groupId(deps.files);
  if (await isListed(deps.files, '/etc/passwd')) {
    await runAccountTool(deps, ['userdel', AGENT_USER]);
  }
  const isOthers = gid !== undefined && !inventory.has('group', AGENT_USER);
  if (isOthers && !(await isListed(deps.files, '/etc/group'))) {
    await runAccountTool(deps, ['groupadd', '--gid', gid, AGENT_USER]);
  }
}

async function removeGroup(deps: Deps): Promise<void> {
  if (await isListed(deps.files, '/etc/group')) {
    await runAccountTool(deps, ['groupdel', AGENT_USER]);
  }
}

/** group(5). */
async function groupId(files: Files): Promise<string | undefined> {
  const lines = ((await files.readText('/etc/group')) ?? '').split('\n');
  return lines.find((line) => line.startsWith(`${AGENT_USER}:`))?.split(':')[2];
}

async function runAccountTool(deps: Deps, argv: readonly [string, ...string[]]): Promise<void> {
  const result = await deps.exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw (
      diskFull(result.stderr, `run ${argv.join(' ')}`, '/etc/passwd') ??
      new AgentError('TOOL_FAILED', `${argv.join(' ')} failed: ${result.stderr}`, {
        hint: 'End its processes, then run the same command again',
      })
    );
  }
}
