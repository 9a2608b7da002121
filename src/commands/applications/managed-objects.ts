/** How what the agent made is recognised. */

/** On everything that deploy makes. */
export const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'pipeops-agent' } as const;
/** On an Ingress whose hosts the control plane routes to this cluster. */
export const ROUTED = { 'pipeops.io/managed': 'true' } as const;
/** Which command changed it last: a repeated run is recognised by it. */
export const COMMAND_ID_ANNOTATION = 'pipeops.io/command-id';

interface Labelled {
  readonly metadata?: { readonly labels?: { readonly [name: string]: string } };
}

export function isManaged(object: Labelled): boolean {
  const [[name, value] = ['', '']] = Object.entries(MANAGED_BY);
  return object.metadata?.labels?.[name] === value;
}

/** Paths of the objects that make up an application. */
export function applicationPaths({ namespace, name }: { namespace: string; name: string }) {
  return {
    deployment: `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`,
    service: `/api/v1/namespaces/${namespace}/services/${name}`,
    ingress: `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses/${name}`,
  } as const;
}
