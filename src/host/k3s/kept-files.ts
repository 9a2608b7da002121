/**
 * k3s' uninstaller removes /etc/rancher/k3s with all that is in it. Files that somebody else has put there
 * (settings, registries.yaml) must stay. So the directory has another name while the uninstaller runs.
 */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_ADMIN_KUBECONFIG_FILE,
  K3S_CONFIG_FILE,
  K3S_DIRECTORY,
  K3S_DIRECTORY_ASIDE,
  K3S_DROP_IN_DIRECTORY,
} from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';

const MOVE_TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/**
 * Runs the given removal. Afterwards the files of others are there again. If this run is killed, the next
 * one puts them back.
 */
export async function keepingFilesOfOthers(deps: Deps, remove: () => Promise<void>): Promise<void> {
  const isAside = (await deps.files.stat(K3S_DIRECTORY_ASIDE)) !== undefined;
  if (!isAside && (await hasFilesOfOthers(deps.files))) {
    await move(deps, K3S_DIRECTORY, K3S_DIRECTORY_ASIDE);
  }
  try {
    await remove();
  } finally {
    if ((await deps.files.stat(K3S_DIRECTORY_ASIDE)) !== undefined) {
      await deps.files.removeTree(K3S_DIRECTORY);
      await move(deps, K3S_DIRECTORY_ASIDE, K3S_DIRECTORY);
    }
  }
}

/** Whether there are files of others. @param ours what we have put there beside the usual */
export async function hasFilesOfOthers(
  files: Files,
  ours: readonly string[] = [],
): Promise<boolean> {
  const paths = [
    ...(await files.list(K3S_DIRECTORY)).map((name) => `${K3S_DIRECTORY}/${name}`),
    ...(await files.list(K3S_DROP_IN_DIRECTORY)).map((name) => `${K3S_DROP_IN_DIRECTORY}/${name}`),
  ];
  const known = [K3S_ADMIN_KUBECONFIG_FILE, K3S_CONFIG_FILE, K3S_DROP_IN_DIRECTORY, ...ours];
  return paths.some((path) => !known.includes(path));
}

async function move({ exec }: Deps, from: string, to: string): Promise<void> {
  const { exitCode, stderr } = await exec.run(['mv', from, to], { timeoutMs: MOVE_TIMEOUT_MS });
  if (exitCode !== 0) {
    throw new AgentError('FILE_ACCESS', `Cannot move ${from} to ${to}: ${stderr}`, {
      hint: 'Correct what it names, then run the same command again',
    });
  }
}
