import type { Fact } from './fact.ts';

/** Whether systemd runs this machine: then, and only then, the directory is there (sd_booted(3)). */
export const runsSystemd: Fact<boolean> = {
  id: 'systemd',
  read: async ({ files }) => (await files.stat('/run/systemd/system')) !== undefined,
};
