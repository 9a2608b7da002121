/** The history of a Deployment: its ReplicaSets, one for each revision that is kept. */
import type {
  V1Deployment,
  V1LabelSelector,
  V1PodTemplateSpec,
  V1ReplicaSet,
} from '@kubernetes/client-node';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { REVISION_ANNOTATION } from '../../core/labels.ts';
import type { KubernetesClient } from '../api/client.ts';

const POD_TEMPLATE_HASH = 'pod-template-hash';

interface Annotated {
  readonly metadata?: { readonly annotations?: { readonly [name: string]: string } };
}

/** 0 when it has none yet. */
export function revisionOf(object: Annotated): number {
  return Number(object.metadata?.annotations?.[REVISION_ANNOTATION] ?? 0);
}

/** Those that belong to the Deployment, the newest revision first. */
export async function replicaSetsOf(
  client: KubernetesClient,
  deployment: V1Deployment,
  signal: AbortSignal,
): Promise<readonly V1ReplicaSet[]> {
  const { namespace = '', uid } = deployment.metadata ?? {};
  // Kubernetes keeps ten of them unless told otherwise: one page holds them all.
  const { items } = await client.page<V1ReplicaSet>(
    pathOfKind(KINDS.replicaSet, namespace),
    { labelSelector: selectorText(deployment.spec?.selector) },
    signal,
  );
  return items
    .filter(({ metadata }) => metadata?.ownerReferences?.some((owner) => owner.uid === uid))
    .toSorted((a, b) => revisionOf(b) - revisionOf(a));
}

/** The template that a ReplicaSet was made from, without what Kubernetes added to tell it apart. */
export function templateOf(replicaSet: V1ReplicaSet): V1PodTemplateSpec {
  const { metadata, spec } = replicaSet.spec?.template ?? {};
  const { [POD_TEMPLATE_HASH]: _, ...labels } = metadata?.labels ?? {};
  return { ...(spec === undefined ? {} : { spec }), metadata: { ...metadata, labels } };
}

/**
 * The ReplicaSet whose template is the Deployment's own, as its controller finds it: what runs now,
 * or shall. The revision numbers do not tell: the controller writes them later.
 * @returns undefined until the controller has made it
 */
export function currentOf(
  deployment: V1Deployment,
  history: readonly V1ReplicaSet[],
): V1ReplicaSet | undefined {
  return history
    .filter((each) => sameContent(templateOf(each), deployment.spec?.template))
    .toSorted((a, b) => createdAt(a).localeCompare(createdAt(b)))[0];
}

/** Compares as Kubernetes does: an empty value is as good as an absent one. */
export function sameContent(a: object | undefined, b: object | undefined): boolean {
  return Bun.deepEquals(withoutEmpty(a), withoutEmpty(b));
}

function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length === 0 ? undefined : value.map(withoutEmpty);
  }
  if (typeof value !== 'object' || value === null) {
    return value ?? undefined;
  }
  const fields = Object.entries(value)
    .map(([name, field]) => [name, withoutEmpty(field)] as const)
    .filter(([, field]) => field !== undefined);
  return fields.length === 0 ? undefined : Object.fromEntries(fields);
}

/** On the wire it is text; client-node's type says Date. */
function createdAt({ metadata }: V1ReplicaSet): string {
  return String(metadata?.creationTimestamp ?? '');
}

/** A label selector as a query parameter (kubernetes.io, "Labels and Selectors"). */
export function selectorText(selector: V1LabelSelector | undefined): string {
  const equal = Object.entries(selector?.matchLabels ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    switch (operator) {
      case 'In':
        return `${key} in (${values.join(',')})`;
      case 'NotIn':
        return `${key} notin (${values.join(',')})`;
      case 'DoesNotExist':
        return `!${key}`;
      default:
        return key;
    }
  });
  return [...equal, ...expressions].join(',');
}
