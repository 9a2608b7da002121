import type { Clock } from '../../core/ports.ts';
import type { KubernetesClient } from '../api/client.ts';
import { isDue } from './token-renewal.ts';
import { requestToken, type TokenAccount } from './token-request.ts';

/** Kubelets see the one for figures, and root on a worker can use what a kubelet sees. */
const LIFE_SECONDS = 3_600;

/** A token of an account beside the agent's own, which may do just one thing. */
export interface ShortToken {
  /** Minted when it is needed, and anew at half its life. @throws AgentError KUBERNETES_API */
  current(signal: AbortSignal): Promise<string>;
  /** To be called when it is no longer accepted. */
  forget(): void;
}

export function shortToken(
  deps: { readonly clock: Clock; readonly client: KubernetesClient },
  account: TokenAccount,
): ShortToken {
  let known: Promise<string> | undefined;
  const minted = (signal: AbortSignal) => {
    const token = requestToken(deps.client, account, LIFE_SECONDS, signal);
    known = token;
    token.catch(() => {
      known = known === token ? undefined : known; // The caller gets the error.
    });
    return token;
  };
  return {
    current: async (signal) => {
      const before = known;
      const token = await before;
      if (token !== undefined && !isDue(deps.clock, token)) {
        return token;
      }
      // Callers that ask at the same time share the new one.
      return await (known === before || known === undefined ? minted(signal) : known);
    },
    forget: () => {
      known = undefined;
    },
  };
}
