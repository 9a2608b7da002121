import type { KubernetesAccount } from '../host/agent-kubeconfig.ts';
import { AGENT_NAMESPACE, AGENT_SERVICE_ACCOUNT, rbacManifest } from '../kubernetes/rbac.ts';
import { TOKEN_LIFE_SECONDS } from '../kubernetes/token-renewal.ts';

/** The agent's own account in Kubernetes, as the steps on the host set it up. */
export const KUBERNETES_ACCOUNT: KubernetesAccount = {
  manifest: rbacManifest(),
  namespace: AGENT_NAMESPACE,
  serviceAccount: AGENT_SERVICE_ACCOUNT,
  tokenLifeSeconds: TOKEN_LIFE_SECONDS,
};
