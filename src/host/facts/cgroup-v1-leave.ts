import { expectedError } from '../../core/errors.ts';
import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';
import { k3sConfigFiles } from '../k3s/config-files.ts';
import type { Fact } from './fact.ts';

/** What k3s' kubelet reads besides its own settings (docs.k3s.io, "Kubelet configuration"). */
const KUBELET_DIRECTORY = `${K3S_DATA_DIRECTORY}/agent/etc/kubelet.conf.d`;
const KUBELET_SETTING = /^[ \t]*failCgroupV1:[ \t]*false[ \t]*$/m;
const KUBELET_ARGUMENT = /^[^#\n]*\bfail-cgroupv1=false\b/m;

/**
 * The file that gives the kubelet leave to run on control groups of version 1; undefined where none
 * does, or root alone may know.
 */
export const cgroupV1Leave: Fact<string | undefined> = {
  id: 'cgroup-v1-leave',
  read: async ({ files }) => {
    try {
      return (
        (await firstWith(files, await k3sConfigFiles(files), KUBELET_ARGUMENT)) ??
        (await firstWith(files, await kubeletFiles(files), KUBELET_SETTING))
      );
    } catch (thrown) {
      if (expectedError(thrown).code === 'FILE_ACCESS') {
        return undefined;
      }
      throw thrown;
    }
  },
};

async function kubeletFiles(files: Files): Promise<readonly string[]> {
  const names = await files.list(KUBELET_DIRECTORY);
  return names
    .filter((name) => name.endsWith('.conf'))
    .map((name) => `${KUBELET_DIRECTORY}/${name}`);
}

async function firstWith(
  files: Files,
  paths: readonly string[],
  pattern: RegExp,
): Promise<string | undefined> {
  for (const path of paths) {
    if (pattern.test((await files.readText(path)) ?? '')) {
      return path;
    }
  }
  return undefined;
}
