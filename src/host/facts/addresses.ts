import type { Fact } from './fact.ts';

/** The addresses by which others reach this machine. */
export const addresses: Fact<readonly string[]> = {
  id: 'addresses',
  read: async (deps) => deps.addresses(),
};
