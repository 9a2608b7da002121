import { dirname } from 'node:path';
import { AgentError } from '../core/errors.ts';
import {
  AGENT_USER,
  K3S_ADMIN_KUBECONFIG_FILE,
  K3S_CONFIG_FILE,
  K3S_DIRECTORY,
  K3S_EXECUTABLE,
  LEAVING_FILE,
  NODE_PASSWORD_FILE,
  RUNTIME_DIRECTORY,
  STATE_DIRECTORY,
  UNIT_NAME,
} from '../core/places.ts';
import type { Exec, Files, StartProgress } from '../core/ports.ts';
import { isListed } from '../host/agent/account.ts';
import { removeAsAgent } from '../host/agent/control-plane-token.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { systemctl } from '../host/engine/systemctl.ts';
import { keepingFilesOfOthers } from '../host/k3s/kept-files.ts';
import { kubectl } from '../host/k3s/kubectl.ts';
import { kubectlTrouble } from '../host/k3s/kubectl-words.ts';
import type { InventoryEntry } from '../protocol/files/host-state.ts';

/** k3s ends its pods first. */
const K3S_UNINSTALL_TIMEOUT_MS = 10 * 60_000;
const TIMEOUT_MS = 30_000;

const K3S_UNINSTALLERS: Readonly<Record<string, string>> = {
  server: '/usr/local/bin/k3s-uninstall.sh',
  agent: '/usr/local/bin/k3s-agent-uninstall.sh',
};

/** Others may have put something into them meanwhile: they go only when they are empty. */
const SHARED_DIRECTORIES = ['/etc/rancher', '/var/lib/rancher', '/usr/local/bin'];
/** Holds the password by which the cluster knows a worker again: k3s' own uninstaller keeps it too. */
const NODE_DIRECTORY = '/etc/rancher/node';
/** What belongs to k3s and stays with it. */
const K3S_DIRECTORIES = [NODE_DIRECTORY, '/etc/rancher', '/var/lib/rancher'];

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly progress: StartProgress;
}

export interface UninstallOptions {
  /** Leave k3s and what runs in it. */
  readonly keepK3s: boolean;
  /** Leave the daemon's directory: its identity, token and journal. */
  readonly keepData: boolean;
  /** Remove also what a worker needs to come back under its name. */
  readonly deleteData: boolean;
  /** The agent's account in Kubernetes, to be taken out of a k3s that stays. */
  readonly manifest: string;
}

interface Removal {
  readonly title: string;
  readonly run: () => Promise<void>;
}

/**
 * Removes what the inventory says was made here, in reverse order; what was found here stays, and what
 * only a newer agent knows. May be run again after a failure: the inventory goes last.
 * @returns what was removed, for a person; and the files that a worker needs to come back
 */
export async function uninstall(
  deps: Deps,
  inventory: HostInventory,
  options: UninstallOptions,
): Promise<{ readonly removed: readonly string[]; readonly kept: readonly string[] }> {
  const removed: string[] = [];
  const isWorker = inventory.has('k3s', 'agent') && !options.keepK3s;
  for (const removal of removals(deps, inventory, options)) {
    const progress = await deps.progress(removal.title);
    try {
      await removal.run();
    } catch (thrown) {
      progress.fail();
      throw thrown;
    }
    progress.done();
    removed.push(removal.title);
  }
  // An earlier uninstall may have kept it, so that the inventory does not know of it any more.
  if (isWorker && options.deleteData) {
    await deps.files.remove(NODE_PASSWORD_FILE);
    await removeIfEmpty(deps, NODE_DIRECTORY);
    await removeIfEmpty(deps, '/etc/rancher');
  }
  const kept = isWorker && (await deps.files.stat(NODE_PASSWORD_FILE)) !== undefined;
  if (!options.keepData && !options.keepK3s) {
    await inventory.end();
  }
  return { removed, kept: kept ? [NODE_PASSWORD_FILE] : [] };
}

function removals(
  deps: Deps,
  inventory: HostInventory,
  options: UninstallOptions,
): readonly Removal[] {
  const isWorker = inventory.has('k3s', 'agent');
  const entries = inventory
    .entries()
    .filter((entry) => !isKept(entry, options) && !(isWorker && entry.name === NODE_DIRECTORY));
  const k3s = entries.filter(({ kind }) => kind === 'k3s');
  const rest = entries.filter(({ kind }) => kind !== 'k3s').toReversed();
  // The daemon first: it must not report a cluster that is being taken apart.
  const units = rest.filter(({ kind }) => kind === 'unit');
  const others = rest.filter(({ kind }) => kind !== 'unit');
  return [
    ...units.map((entry) => ({
      title: `Stop and remove ${entry.name}`,
      run: () => removeUnit(deps, entry.name),
    })),
    ...(options.keepK3s && inventory.has('k3s', 'server')
      ? [
          {
            title: "Remove the agent's account in Kubernetes",
            run: () => removeAccount(deps, options.manifest),
          },
        ]
      : []),
    ...k3s.map(({ name }) => ({
      title: `Remove k3s (${name}) and what runs in it`,
      run: () => removeK3s(deps, name),
    })),
    ...others
      // What goes with its directory needs no look.
      .filter((entry) => !(isDaemons(entry) && inventory.has('directory', STATE_DIRECTORY)))
      .map((entry) => ({
        title: `Remove ${entry.kind} ${entry.name}`,
        run: () =>
          isDaemons(entry) ? removeAsAgent(deps, entry.name) : removeEntry(deps, inventory, entry),
      })),
  ];
}

function isKept(entry: InventoryEntry, options: UninstallOptions): boolean {
  return (
    (options.keepK3s && (entry.kind === 'k3s' || K3S_DIRECTORIES.includes(entry.name))) ||
    (options.keepData &&
      (entry.name === STATE_DIRECTORY ||
        isDaemons(entry) ||
        ['user', 'group'].includes(entry.kind)))
  );
}

/** Stands where the daemon may write: a link that it made would lead root anywhere. */
function isDaemons(entry: InventoryEntry): boolean {
  return entry.name.startsWith(`${STATE_DIRECTORY}/`);
}

async function removeUnit(deps: Deps, path: string): Promise<void> {
  if ((await deps.files.stat(path)) === undefined) {
    return;
  }
  await whileLeaving(deps, () => systemctl(deps, 'disable', '--quiet', '--now', UNIT_NAME));
  await deps.files.remove(path);
  if ((await deps.files.stat(RUNTIME_DIRECTORY))?.kind === 'directory') {
    await deps.files.removeTree(RUNTIME_DIRECTORY);
  }
  await systemctl(deps, 'daemon-reload');
  // A unit that failed once is remembered; "not loaded" is the usual answer and fine.
  await deps.exec.run(['systemctl', 'reset-failed', UNIT_NAME], { timeoutMs: TIMEOUT_MS });
}

/** What the daemon finds at its stop tells it that this one is for good. */
async function whileLeaving(deps: Deps, stop: () => Promise<void>): Promise<void> {
  try {
    await deps.files.writeAtomic(LEAVING_FILE, '', { mode: 0o644 });
  } catch {
    // No room, or no directory any more: it goes without a goodbye.
  }
  try {
    await stop();
  } finally {
    await deps.files.remove(LEAVING_FILE);
  }
}

async function removeAccount(deps: Deps, manifest: string): Promise<void> {
  const result = await kubectl(deps, ['delete', '--ignore-not-found', '-f', '-'], manifest);
  if (result.exitCode !== 0) {
    throw new AgentError(
      'KUBERNETES_API',
      `Cannot remove the account: ${kubectlTrouble(result.stderr).text}`,
      {
        hint: 'Check that k3s runs, then run the same command again: systemctl status k3s',
      },
    );
  }
}

async function removeK3s(deps: Deps, role: string): Promise<void> {
  const script = K3S_UNINSTALLERS[role];
  if (script !== undefined && (await deps.files.stat(script)) !== undefined) {
    await keepingFilesOfOthers(deps, () => runUninstaller(deps, script));
  }
  // What an installation that ended half way has left.
  await deps.files.remove(K3S_EXECUTABLE);
  await deps.files.remove(K3S_CONFIG_FILE);
  await deps.files.remove(K3S_ADMIN_KUBECONFIG_FILE);
  for (const directory of [dirname(K3S_CONFIG_FILE), K3S_DIRECTORY]) {
    await removeIfEmpty(deps, directory);
  }
}

async function runUninstaller(deps: Deps, script: string): Promise<void> {
  const result = await deps.exec.run([script], { timeoutMs: K3S_UNINSTALL_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `${script} failed: ${result.stderr.slice(-500)}`, {
      hint: 'Correct what it names, then run the same command again',
      details: { argv: [script], exit: result.exitCode },
    });
  }
}

async function removeEntry(
  deps: Deps,
  inventory: HostInventory,
  entry: InventoryEntry,
): Promise<void> {
  switch (entry.kind) {
    case 'file':
    case 'link':
      await deps.files.remove(entry.name);
      return;
    case 'directory':
      if (SHARED_DIRECTORIES.includes(entry.name)) {
        await removeIfEmpty(deps, entry.name);
      } else {
        await deps.files.removeTree(entry.name);
      }
      return;
    case 'user':
      await removeUser(deps, inventory);
      return;
    case 'group':
      await removeGroup(deps);
      return;
    case 'unit':
    case 'k3s':
      return; // Removed before, in their own way.
  }
}

async function removeIfEmpty(deps: Deps, path: string): Promise<void> {
  const stat = await deps.files.stat(path);
  if (stat?.kind === 'directory' && (await deps.files.list(path)).length === 0) {
    await deps.files.removeTree(path);
  }
}

/**
 * userdel(8) takes the group of the same name along. One that was here before us is made again, with its
 * number: files belong to it.
 */
async function removeUser(deps: Deps, inventory: HostInventory): Promise<void> {
  const gid = await groupId(deps.files);
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
    throw new AgentError('TOOL_FAILED', `${argv.join(' ')} failed: ${result.stderr}`, {
      hint: 'End its processes, then run the same command again',
    });
  }
}
