import type { Fact } from './fact.ts';

export const now: Fact<Date> = {
  id: 'now',
  read: async ({ clock }) => clock.now(),
};
