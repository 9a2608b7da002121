import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** `docker`, `podman`, `lxc`, `systemd-nspawn`, `wsl`, …; undefined on a machine of its own. */
export const container: Fact<string | undefined> = {
  id: 'container',
  read: async ({ files }) => await readContainer(files),
};

export async function readContainer(files: Files): Promise<string | undefined> {
  const told = (await files.readText('/run/systemd/container'))?.trim();
  if (told !== undefined && told !== '') {
    return told;
  }
  if ((await files.stat('/.dockerenv')) !== undefined) {
    return 'docker';
  }
  if ((await files.stat('/run/.containerenv')) !== undefined) {
    return 'podman';
  }
  const kernel = (await files.readText('/proc/sys/kernel/osrelease')) ?? '';
  return /microsoft/i.test(kernel) ? 'wsl' : undefined;
}
