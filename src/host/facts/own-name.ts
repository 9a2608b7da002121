import { troubleOf } from '../../core/trouble.ts';
import type { Fact } from './fact.ts';

const RESOLVE_LIMIT_MS = 2_000;

export interface OwnName {
  readonly name: string;
  /** Empty where it leads nowhere. */
  readonly addresses: readonly string[];
  /** Why it does not, as the end of a sentence. */
  readonly trouble: string;
}

/** Where this machine's own name leads on it. */
export const ownName: Fact<OwnName> = {
  id: 'own-name',
  read: async ({ hostname, probe }) => {
    try {
      const addresses = await (await probe()).resolve(hostname, RESOLVE_LIMIT_MS);
      return { name: hostname, addresses, trouble: '' };
    } catch (thrown) {
      return { name: hostname, addresses: [], trouble: troubleOf(thrown) };
    }
  },
};
