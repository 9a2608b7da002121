import { MANAGED_BY } from '../core/labels.ts';
import type { KubernetesAccount } from '../host/agent/kubeconfig.ts';
import type { SharedPlace } from '../host/cluster/shared-settings.ts';
import {
  AGENT_NAMESPACE,
  AGENT_SERVICE_ACCOUNT,
  accountManifest,
  OWN_OBJECTS,
  SHARED_POLICY,
  SHARED_SETTINGS,
  TOKENS_OF,
} from '../kubernetes/account/rbac.ts';
import { TOKEN_LIFE_SECONDS } from '../kubernetes/account/token-renewal.ts';
import { admissionManifests } from '../policy/admission/manifests.ts';
import { effectivePolicy } from '../policy/effective.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';
import {
  SHARED_POLICY_KEY,
  SHARED_SETTINGS_KEY,
  type SharedSettings,
  sharedPolicyText,
} from '../protocol/files/shared-settings.ts';

/** The agent's own account in Kubernetes. */
export const KUBERNETES_ACCOUNT: KubernetesAccount = {
  namespace: AGENT_NAMESPACE,
  serviceAccount: AGENT_SERVICE_ACCOUNT,
  tokenLifeSeconds: TOKEN_LIFE_SECONDS,
};

/** Where the servers of a cluster have what all of them need. */
export const SHARED_PLACE: SharedPlace = {
  namespace: AGENT_NAMESPACE,
  settings: SHARED_SETTINGS,
  policy: SHARED_POLICY,
};

/**
 * That account with the permissions of the policy, as a manifest for `kubectl apply -f -`.
 * @param settings what the servers have in common; undefined leaves what is there
 */
export function permissionsManifest(policy: PolicyFile, settings?: SharedSettings): string {
  const effective = effectivePolicy(policy);
  const account = {
    name: AGENT_SERVICE_ACCOUNT,
    ...KUBERNETES_ACCOUNT,
    tokensOf: TOKENS_OF,
    ownObjects: OWN_OBJECTS,
  };
  return accountManifest(effective.grants, admissionManifests(account, effective, MANAGED_BY), {
    takesOutNodes: effective.workersLeave.allowed,
    shared: [
      { name: SHARED_POLICY, key: SHARED_POLICY_KEY, text: sharedPolicyText(policy) },
      ...(settings === undefined
        ? []
        : [{ name: SHARED_SETTINGS, key: SHARED_SETTINGS_KEY, text: JSON.stringify(settings) }]),
    ],
  });
}
