import { KERNEL_SETTING_GROUPS, readSetting } from '../kernel/settings.ts';
import type { Fact } from './fact.ts';

/** Values of /proc/sys by their name in sysctl(8): `fs.inotify.max_user_watches`. */
export type KernelSettings = ReadonlyMap<string, number>;

const NAMES = KERNEL_SETTING_GROUPS.flatMap(({ settings }) => settings.map(({ name }) => name));

/** Those that are asked about; what this kernel does not have is absent. */
export const kernelSettings: Fact<KernelSettings> = {
  id: 'kernel-settings',
  read: async ({ files }) => {
    const values = await Promise.all(
      NAMES.map(async (name) => {
        const value = await readSetting(files, name);
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
    return new Map(values.flat());
  },
};
