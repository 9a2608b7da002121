import { readK3sFiles } from '../k3s/told.ts';
import type { Fact } from './fact.ts';

/** What k3s is told in its files, by the names of its flags, whoever wrote them. */
export const k3sSettings: Fact<Readonly<Record<string, unknown>>> = {
  id: 'k3s-settings',
  read: async (deps) => (await readK3sFiles(deps)).settings,
};
