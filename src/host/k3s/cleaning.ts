/**
 * Takes k3s away with all that it has left on the machine. k3s' own uninstaller is not used: it writes
 * the whole firewall anew without the lines that it believes to be its own, and changes the settings of
 * Tailscale. Each part may be done again after it was killed.
 */
import { AgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_KILLALL,
  K3S_NEXT_FILE,
  K3S_PREVIOUS_FILE,
  K3S_TOOLS,
  K3S_UNINSTALLERS,
  K3S_UNITS,
  K3S_VOLUMES_DIRECTORY,
  type K3sRole,
  KUBELET_DATA_DIRECTORY,
  k3sUnitFile,
} from '../../core/k3s-places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { removePodGroups } from '../cleaning/control-groups.ts';
import { removeOwnRules } from '../cleaning/firewall.ts';
import { removeLinks } from '../cleaning/links.ts';
import { unmountBelow } from '../cleaning/mounts.ts';
import { endContainers } from '../cleaning/processes.ts';
import { removeBut } from '../cleaning/trees.ts';
import { type Volume, volumesWithData } from '../cleaning/volumes.ts';
import { partialPath } from '../engine/place-file.ts';
import { forgetFailure, systemctl } from '../engine/systemctl.ts';
import { flannelNetworks } from './flannel-networks.ts';
import { podNetworks } from './networks.ts';
import { forgetKeptDown } from './no-restart.ts';
import { readToldK3s } from './told.ts';

/** Of containers and pods. What is mounted at k3s' own directories themselves is somebody's disk. */
const MOUNTS_BELOW = [
  ...['/run/k3s/', `${KUBELET_DATA_DIRECTORY}/`, '/run/netns/cni-', '/var/run/netns/cni-'],
  `${K3S_DATA_DIRECTORY}/agent/`,
];
/** What k3s, its kubelet and its CNI plugins fill, outside of the data directory. */
const FILLED = [
  ...['/run/k3s', '/run/flannel', '/var/lib/cni', KUBELET_DATA_DIRECTORY],
  ...['/var/log/pods', '/var/log/containers'],
];
/** Made by k3s' installer, with the package that this lists (k3s, "install.sh", setup_selinux). */
const SELINUX_REPOSITORY = /^rancher-k3s-common.*\.repo$/;
const REPOSITORIES = '/etc/yum.repos.d';
const SELINUX_PACKAGE = 'k3s-selinux';
const PACKAGE_TIMEOUT_MS = 5 * 60_000;

export interface CleaningDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
}

/** The data of volumes on this machine: it stays, unless somebody wants it deleted. */
export async function k3sVolumes(deps: CleaningDeps): Promise<readonly Volume[]> {
  return await volumesWithData(deps, await volumesDirectory(deps));
}

/**
 * @param kept paths in k3s' data directory that stay
 * @throws AgentError TOOL_FAILED, TIMEOUT, FILE_ACCESS with what does not go
 */
export async function cleanK3s(
  deps: CleaningDeps,
  role: K3sRole,
  kept: readonly string[],
): Promise<void> {
  const { files } = deps;
  const unitFile = k3sUnitFile(role);
  if ((await files.stat(unitFile)) !== undefined) {
    await systemctl(deps, 'stop', K3S_UNITS[role]);
  }
  const networks = new Set([
    ...podNetworks(await settingsOf(deps)),
    ...(await flannelNetworks(deps)),
  ]);
  await endContainers(deps);
  await unmountBelow(deps, MOUNTS_BELOW);
  await removeLinks(deps, [...networks]);
  await removeOwnRules(deps); // While k3s' own iptables is there: the machine may have none.
  await removePodGroups(deps);
  if ((await files.stat(unitFile)) !== undefined) {
    await systemctl(deps, 'disable', K3S_UNITS[role]);
    await files.remove(unitFile);
  }
  await files.remove(`${unitFile}.env`);
  await forgetKeptDown(deps);
  await systemctl(deps, 'daemon-reload');
  await forgetFailure(deps, K3S_UNITS[role]);
  for (const path of FILLED) {
    await removeBut(files, path);
  }
  await removeBut(files, K3S_DATA_DIRECTORY, kept);
  await removeSelinuxPolicy(deps);
  await removePrograms(deps, role);
}

async function removePrograms({ files }: CleaningDeps, role: K3sRole): Promise<void> {
  for (const tool of K3S_TOOLS) {
    const isLink = (await files.stat(tool))?.kind === 'link';
    if (isLink && ['k3s', K3S_EXECUTABLE].includes((await files.readLink(tool)) ?? '')) {
      await files.remove(tool);
    }
  }
  const upgraded = [K3S_NEXT_FILE, K3S_PREVIOUS_FILE];
  const partial = [K3S_EXECUTABLE, ...upgraded].map(partialPath);
  for (const path of [K3S_UNINSTALLERS[role], K3S_KILLALL, ...upgraded, ...partial]) {
    await files.remove(path);
  }
  await files.remove(K3S_EXECUTABLE);
}

async function volumesDirectory(deps: CleaningDeps): Promise<string> {
  const told = (await settingsOf(deps))['default-local-storage-path'];
  return told === undefined ? K3S_VOLUMES_DIRECTORY : String(told);
}

async function settingsOf(deps: CleaningDeps): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await readToldK3s(deps))?.settings ?? {};
  } catch {
    return {}; // A file that nobody can read told k3s nothing either.
  }
}

/** Its package comes from a repository that k3s' installer has added; without that it is a person's. */
async function removeSelinuxPolicy({ exec, files }: CleaningDeps): Promise<void> {
  const names = (await files.list(REPOSITORIES)).filter((name) => SELINUX_REPOSITORY.test(name));
  if (names.length === 0) {
    return;
  }
  const is = await exec.run(['rpm', '-q', SELINUX_PACKAGE], { timeoutMs: PACKAGE_TIMEOUT_MS });
  if (is.exitCode === 0) {
    const argv = ['rpm', '-e', SELINUX_PACKAGE] as const;
    const { exitCode, stderr } = await exec.run(argv, { timeoutMs: PACKAGE_TIMEOUT_MS });
    if (exitCode !== 0) {
      throw new AgentError('TOOL_FAILED', `Cannot remove ${SELINUX_PACKAGE}: ${stderr}`, {
        hint: 'Correct what it names, then run the same command again',
      });
    }
  }
  for (const name of names) {
    await files.remove(`${REPOSITORIES}/${name}`);
  }
}
