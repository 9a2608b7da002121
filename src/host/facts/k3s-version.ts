import type { Fact } from './fact.ts';

/**
 * The k3s that is installed, or else the one that would be: `v1.36.3+k3s1`. Undefined where nobody
 * tells it.
 */
export const k3sVersion: Fact<string | undefined> = {
  id: 'k3s-version',
  read: (deps) => deps.k3sVersion(),
};
