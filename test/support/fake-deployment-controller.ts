/**
 * What the Deployment controller of Kubernetes does, at once: a ReplicaSet for each pod template,
 * revision numbers, and the status, which speaks of the generation that it has seen.
 */
import type { KubernetesObject } from './fake-kubernetes.ts';

type Json = Record<string, unknown>;

const REVISION = 'deployment.kubernetes.io/revision';

/** @param isReady whether the pods of what shall run become available, or never are */
export function controlDeployment(
  objects: Map<string, KubernetesObject>,
  path: string,
  isReady: boolean,
): void {
  const deployment = objects.get(path);
  if (deployment === undefined) {
    return;
  }
  const { uid, name } = deployment.metadata;
  const prefix = `${path.slice(0, path.lastIndexOf('/deployments/'))}/replicasets/`;
  const owned = [...objects].filter(
    ([key, { metadata }]) =>
      key.startsWith(prefix) && JSON.stringify(metadata['ownerReferences'] ?? []).includes(uid),
  );
  const template = (deployment.spec?.['template'] ?? {}) as Json;
  const newest = Math.max(0, ...owned.map(([, each]) => revisionOf(each)));
  const known = owned.find(([, { spec }]) =>
    Bun.deepEquals(plain(templateOf(spec)), plain(template)),
  );
  const isNewest = known !== undefined && revisionOf(known[1]) === newest;
  const revision = isNewest ? newest : newest + 1;
  const hash = `${owned.length + 1}`;
  const [key, current] = known ?? [`${prefix}${name}-${hash}`, replicaSetOf(deployment, hash)];
  const replicas = Number(deployment.spec?.['replicas'] ?? 1);
  const ready = isReady ? replicas : 0;
  annotate(current, revision);
  annotate(deployment, revision);
  current.status = { replicas, readyReplicas: ready, availableReplicas: ready };
  objects.set(key, current);
  deployment.status = {
    ...deployment.status,
    observedGeneration: deployment.metadata['generation'],
    replicas,
    updatedReplicas: replicas,
    readyReplicas: ready,
    availableReplicas: ready,
  };
}

function replicaSetOf({ metadata, spec }: KubernetesObject, hash: string): KubernetesObject {
  const template = (spec?.['template'] ?? {}) as Json;
  const of = (template['metadata'] ?? {}) as Json;
  const labels = { ...(of['labels'] as Json | undefined), 'pod-template-hash': hash };
  return {
    metadata: {
      name: `${metadata.name}-${hash}`,
      uid: crypto.randomUUID(),
      resourceVersion: '1',
      creationTimestamp: new Date().toISOString(),
      ownerReferences: [{ uid: metadata.uid }],
    },
    spec: {
      selector: { matchLabels: { 'pod-template-hash': hash } },
      template: { ...template, metadata: { ...of, labels } },
    },
  };
}

function templateOf(spec: Json | undefined): Json {
  const { metadata, ...rest } = (spec?.['template'] ?? {}) as Json;
  const { labels, ...others } = (metadata ?? {}) as Json;
  const { 'pod-template-hash': _, ...kept } = (labels ?? {}) as Json;
  return { ...rest, metadata: { ...others, labels: kept } };
}

/** No labels and no metadata are as good as empty ones. */
function plain({ metadata, ...rest }: Json): Json {
  const { labels, ...others } = (metadata ?? {}) as Json;
  return { ...rest, metadata: { ...others, labels: labels ?? {} } };
}

function annotate({ metadata }: KubernetesObject, revision: number): void {
  const annotations = (metadata['annotations'] ?? {}) as Json;
  metadata['annotations'] = { ...annotations, [REVISION]: `${revision}` };
}

function revisionOf({ metadata }: KubernetesObject): number {
  return Number(((metadata['annotations'] ?? {}) as Json)[REVISION] ?? 0);
}
