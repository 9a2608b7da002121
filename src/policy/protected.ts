import type { AccessRequest } from './decision.ts';

/**
 * Namespaces that belong to Kubernetes or to the agent itself: their pods run with more rights than
 * an application has, and their Secrets open the cluster. No preset changes them.
 */
export function isProtectedNamespace(namespace: string): boolean {
  return namespace.startsWith('kube-') || namespace === 'pipeops-system';
}

/**
 * The Service of the Kubernetes API with its endpoints, and the certificate by which every pod
 * trusts it: all pods would take for the API whatever is written there.
 */
export function isProtectedObject({ group, resource, namespace, name }: AccessRequest): boolean {
  if (group === '' && resource === 'configmaps') {
    return name === 'kube-root-ca.crt';
  }
  if (namespace !== 'default') {
    return false;
  }
  return group === ''
    ? // By the proxy of the API server: `https:kubernetes:443`.
      (resource === 'services' && /^([a-z]+:)?kubernetes(:[a-z0-9-]*)?$/.test(name)) ||
        (resource === 'endpoints' && name === 'kubernetes')
    : resource === 'endpointslices' && name.startsWith('kubernetes');
}
