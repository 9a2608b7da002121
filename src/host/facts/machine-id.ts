import type { Fact } from './fact.ts';

/** What makes this installation of a system different from all others (machine-id(5)); empty where there is none. */
export const machineId: Fact<string> = {
  id: 'machine-id',
  read: async ({ files }) => ((await files.readText('/etc/machine-id')) ?? '').trim(),
};
