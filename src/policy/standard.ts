import type { Policy, PolicyDecision } from './policy.ts';

/** Namespaces that belong to Kubernetes or to the agent itself. */
const PROTECTED_NAMESPACE = /^(kube-.*|pipeops-system)$/;

/** Workloads in any namespace but those of Kubernetes and of the agent. */
export const STANDARD_POLICY: Policy = {
  command: ({ namespace = '' }) => decide(namespace),
  access: ({ namespace }) => decide(namespace),
};

function decide(namespace: string): PolicyDecision {
  return PROTECTED_NAMESPACE.test(namespace)
    ? {
        allowed: false,
        rule: 'standard/protected-namespaces',
        reason: `The local policy does not allow changes in namespace "${namespace}"`,
      }
    : { allowed: true };
}
