import type { AuthenticationV1TokenRequest } from '@kubernetes/client-node';
import { KINDS, pathOfObject, typeOf } from '../../core/kinds.ts';
import type { KubernetesClient } from '../api/client.ts';

export interface TokenAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * A new token of a ServiceAccount (kubernetes.io, "TokenRequest").
 * @throws AgentError KUBERNETES_API
 */
export async function requestToken(
  client: KubernetesClient,
  { namespace, serviceAccount }: TokenAccount,
  lifeSeconds: number,
  signal: AbortSignal,
): Promise<string> {
  const path = `${pathOfObject(KINDS.serviceAccount, { namespace, name: serviceAccount })}/token`;
  const request: AuthenticationV1TokenRequest = {
    ...typeOf(KINDS.tokenRequest),
    spec: { audiences: [], expirationSeconds: lifeSeconds },
  };
  const answer = await client.create(path, request, signal);
  return answer.status?.token ?? '';
}
