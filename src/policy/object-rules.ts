/**
 * What no object may contain, even for those who may write its kind. Kubernetes checks the same:
 * admission/rules.ts.
 */
import { listAt, objectAt, valueAt } from '../core/json-values.ts';
import { ACCOUNT_TOKEN_SECRET, POD_SECURITY_PREFIX, SERVICE_NAME_LABEL } from '../core/labels.ts';
import { podSecurityProblem } from './pod-security/problem.ts';
import type { PodSecurityLevel } from './pod-security/rules.ts';

export interface ObjectProblem {
  readonly rule: 'pod-security' | 'namespaces' | 'own-tokens' | 'protected-names' | 'webhooks';
  /** What is not allowed, as the end of a sentence. */
  readonly problem: string;
}

export function objectProblem(level: PodSecurityLevel, object: unknown): ObjectProblem | undefined {
  return kindProblem(object) ?? (level === 'privileged' ? undefined : nodeProblem(level, object));
}

function kindProblem(object: unknown): ObjectProblem | undefined {
  const metadata = objectAt(object, 'metadata');
  const labels = objectAt(metadata, 'labels');
  switch (valueAt(object, 'kind')) {
    case 'Namespace': {
      const isChanged =
        decidesLife(object) ||
        Object.keys(labels).some((name) => name.startsWith(POD_SECURITY_PREFIX));
      return isChanged
        ? {
            rule: 'namespaces',
            problem: `owners, finalizers and ${POD_SECURITY_PREFIX}* of a namespace`,
          }
        : undefined;
    }
    case 'Secret':
      return valueAt(object, 'type') === ACCOUNT_TOKEN_SECRET
        ? { rule: 'own-tokens', problem: 'a Secret that is a token of another account' }
        : undefined;
    case 'EndpointSlice':
      return valueAt(labels, SERVICE_NAME_LABEL) === 'kubernetes' &&
        (valueAt(metadata, 'namespace') ?? 'default') === 'default'
        ? { rule: 'protected-names', problem: 'endpoints of the Kubernetes API' }
        : undefined;
    case 'CustomResourceDefinition':
      return valueAt(objectAt(objectAt(object, 'spec'), 'conversion'), 'strategy') === 'Webhook'
        ? { rule: 'webhooks', problem: 'a conversion webhook' }
        : undefined;
    default:
      return undefined;
  }
}

/** Whether the object says when it is deleted: only those who may delete it may write that. */
export function decidesLife(object: unknown): boolean {
  const metadata = objectAt(object, 'metadata');
  return (
    listAt(metadata, 'ownerReferences').length > 0 || listAt(metadata, 'finalizers').length > 0
  );
}

function nodeProblem(level: PodSecurityLevel, object: unknown): ObjectProblem | undefined {
  const spec = objectAt(object, 'spec');
  const kind = valueAt(object, 'kind');
  const isPlaceOnNode = ['hostPath', 'local', 'flexVolume'].some(
    (source) => (valueAt(spec, source) ?? null) !== null,
  );
  const problem =
    kind === 'Service' && listAt(spec, 'externalIPs').length > 0
      ? 'externalIPs: they take the traffic of others'
      : kind === 'PersistentVolume' && isPlaceOnNode
        ? 'volumes that are a place on a node'
        : podSecurityProblem(level, object);
  return problem === undefined ? undefined : { rule: 'pod-security', problem };
}
