import { MANAGED_BY } from '../core/labels.ts';
import type { KubernetesAccount } from '../host/agent/kubeconfig.ts';
import {
  AGENT_NAMESPACE,
  AGENT_SERVICE_ACCOUNT,
  accountManifest,
  OWN_OBJECTS,
  TOKENS_OF,
} from '../kubernetes/account/rbac.ts';
import { TOKEN_LIFE_SECONDS } from '../kubernetes/account/token-renewal.ts';
import { admissionManifests } from '../policy/admission/manifests.ts';
import { effectivePolicy } from '../policy/effective.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';

/** The agent's own account in Kubernetes. */
export const KUBERNETES_ACCOUNT: KubernetesAccount = {
  namespace: AGENT_NAMESPACE,
  serviceAccount: AGENT_SERVICE_ACCOUNT,
  tokenLifeSeconds: TOKEN_LIFE_SECONDS,
};

/** That account with the permissions of the policy, as a manifest for `kubectl apply -f -`. */
export function permissionsManifest(policy: PolicyFile): string {
  const effective = effectivePolicy(policy);
  const account = {
    name: AGENT_SERVICE_ACCOUNT,
    ...KUBERNETES_ACCOUNT,
    tokensOf: TOKENS_OF,
    ownObjects: OWN_OBJECTS,
  };
  return accountManifest(effective.grants, admissionManifests(account, effective, MANAGED_BY), {
    takesOutNodes: effective.workersLeave.allowed,
  });
}
