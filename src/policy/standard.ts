import { AgentError } from '../core/errors.ts';

/** Namespaces that belong to Kubernetes or to the agent itself. */
const PROTECTED_NAMESPACE = /^(kube-.*|pipeops-system)$/;

/**
 * The rule for workloads that no control plane may override: system namespaces are not touched.
 * @throws AgentError POLICY_DENIED naming the rule
 */
export function checkWorkloadNamespace(commandType: string, namespace: string): void {
  if (PROTECTED_NAMESPACE.test(namespace)) {
    throw new AgentError(
      'POLICY_DENIED',
      `The local policy does not allow "${commandType}" in namespace "${namespace}"`,
      {
        hint: 'Use a namespace that belongs to neither Kubernetes nor the agent',
        details: { rule: 'standard/protected-namespaces', namespace },
      },
    );
  }
}
