import type { Fact } from './fact.ts';

export const hostname: Fact<string> = {
  id: 'hostname',
  read: async (deps) => deps.hostname,
};
