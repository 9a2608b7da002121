import type { Fact } from './fact.ts';

/** When the source of this program was committed; undefined where it runs from source. */
export const builtAt: Fact<Date | undefined> = {
  id: 'built-at',
  read: async (deps) => deps.builtAt,
};
