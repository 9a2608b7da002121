/** How objects that the agent made are recognised. */
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../../core/labels.ts';

interface Labelled {
  readonly metadata?: { readonly labels?: { readonly [name: string]: string } };
}

export function isManaged(object: Labelled): boolean {
  return object.metadata?.labels?.[MANAGED_BY_LABEL] === MANAGED_BY[MANAGED_BY_LABEL];
}

/** Paths of the objects that make up an application. */
export function applicationPaths(application: { namespace: string; name: string }) {
  return {
    deployment: pathOfObject(KINDS.deployment, application),
    service: pathOfObject(KINDS.service, application),
    ingress: pathOfObject(KINDS.ingress, application),
  } as const;
}
