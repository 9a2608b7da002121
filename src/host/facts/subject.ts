import type { Fact, Subject } from './fact.ts';

/** Which machine is looked at: its role and its settings. */
export const subject: Fact<Subject> = {
  id: 'subject',
  read: async (deps) => deps.subject,
};
