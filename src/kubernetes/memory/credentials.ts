import type { Clock } from '../../core/ports.ts';
import { AGENT_NAMESPACE, MEMORY_SERVICE_ACCOUNT } from '../account/rbac.ts';
import { shortToken } from '../account/short-token.ts';
import type { KubernetesClient } from '../api/client.ts';
import type { KubernetesCredentials } from '../api/credentials.ts';

interface Deps {
  readonly clock: Clock;
  /** With the agent's own account, which mints the tokens. */
  readonly client: KubernetesClient;
  readonly credentials: KubernetesCredentials;
}

/** Those of the one account that may reach the memory of the cluster. */
export function memoryCredentials(deps: Deps): KubernetesCredentials {
  const account = { namespace: AGENT_NAMESPACE, serviceAccount: MEMORY_SERVICE_ACCOUNT };
  const token = shortToken(deps, account);
  // A request for a token has its own end, and others may wait for the same.
  const { signal } = new AbortController();
  return {
    current: async () => ({
      ...(await deps.credentials.current()),
      token: await token.current(signal),
    }),
    reload: () => {
      token.forget();
      deps.credentials.reload();
    },
  };
}
