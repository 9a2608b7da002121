import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** What makes this installation of a system different from all others (machine-id(5)); empty where there is none. */
export async function readMachineId(files: Files): Promise<string> {
  return ((await files.readText('/etc/machine-id')) ?? '').trim();
}

export const machineId: Fact<string> = {
  id: 'machine-id',
  read: ({ files }) => readMachineId(files),
};
