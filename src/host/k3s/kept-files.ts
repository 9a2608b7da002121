/** What somebody else has put into /etc/rancher/k3s (settings, registries.yaml) is not ours to remove. */
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

/** An older version has set them aside while k3s' own uninstaller ran, and was killed meanwhile. */
export async function putBackSetAside(deps: Deps): Promise<void> {
  if ((await deps.files.stat(K3S_DIRECTORY_ASIDE)) !== undefined) {
    await deps.files.removeTree(K3S_DIRECTORY);
    await move(deps, K3S_DIRECTORY_ASIDE, K3S_DIRECTORY);
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
