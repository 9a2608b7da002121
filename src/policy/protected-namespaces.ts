/**
 * Namespaces that belong to Kubernetes or to the agent itself: their pods run with more rights than
 * an application has, and their Secrets open the cluster. In no preset are they changed.
 */
export function isProtectedNamespace(namespace: string): boolean {
  return namespace.startsWith('kube-') || namespace === 'pipeops-system';
}
