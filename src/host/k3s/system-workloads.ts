/** What k3s deploys of its own, and how far that is: DNS, volumes, metrics, ingress. */
import { K3S_MANIFESTS_DIRECTORY } from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';
import {
  SystemManifest,
  type SystemObject,
  type SystemObjectList,
} from '../../protocol/system-workloads.ts';

/** Its namespace, and that of all that is in here. */
export const SYSTEM_NAMESPACE = 'kube-system';
/** Files that are read; k3s brings about fifteen. */
const MANIFESTS_MAX = 100;
/** helm's own mark, with the name of its chart. */
const RELEASE_ANNOTATION = 'meta.helm.sh/release-name';

/** `Deployment/coredns`; a chart is `HelmChart/traefik`. */
export interface SystemPart {
  readonly kind: 'Deployment' | 'DaemonSet' | 'HelmChart';
  readonly name: string;
}

/** What is missing of one part, and whether waiting may help. */
export interface UnreadyPart {
  readonly name: string;
  /**
   * starts: it is under way; image: its image cannot be fetched yet; place: no node takes it; broken: its
   * container ends again and again, or does not start.
   */
  readonly state: 'starts' | 'image' | 'place' | 'broken';
  readonly because: string;
}

/**
 * What k3s says that it deploys: it writes its manifests into that directory before it applies them, and takes
 * out those that are disabled (docs.k3s.io, "Managing Packaged Components").
 * @returns none before its first start
 */
export async function systemParts(deps: { readonly files: Files }): Promise<readonly SystemPart[]> {
  const found: SystemPart[] = [];
  for (const path of await manifestFiles(deps.files)) {
    found.push(...partsIn(await deps.files.readText(path)));
  }
  return found;
}

/** Also one directory deeper: that of metrics-server. A file beside it, `NAME.skip`, means that NAME is not applied. */
async function manifestFiles(files: Files): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await files.list(K3S_MANIFESTS_DIRECTORY)) {
    const path = `${K3S_MANIFESTS_DIRECTORY}/${name}`;
    const isDirectory = (await files.stat(path))?.kind === 'directory';
    const inside = isDirectory ? (await files.list(path)).map((each) => `${path}/${each}`) : [path];
    found.push(...inside);
  }
  return found
    .filter((path) => /\.ya?ml$/.test(path) && !found.includes(`${path}.skip`))
    .slice(0, MANIFESTS_MAX);
}

function partsIn(text: string | undefined): readonly SystemPart[] {
  let documents: unknown;
  try {
    documents = Bun.YAML.parse(text ?? '');
  } catch {
    return []; // k3s says in its journal what it cannot read.
  }
  return [documents].flat().flatMap((document) => {
    const { success, data } = SystemManifest.safeParse(document, { jitless: true });
    return success ? (partOf(data) ?? []) : [];
  });
}

function partOf({ kind, metadata }: SystemManifest): SystemPart | undefined {
  const { name, namespace } = metadata;
  const isOne = kind === 'Deployment' || kind === 'DaemonSet' || kind === 'HelmChart';
  return isOne && namespace === SYSTEM_NAMESPACE ? { kind, name } : undefined;
}

/** Those that are not ready, each with the reason. @param objects of SYSTEM_NAMESPACE, of all kinds below */
export function unreadyParts(
  parts: readonly SystemPart[],
  { items }: SystemObjectList,
): readonly UnreadyPart[] {
  const charts = parts.filter(({ kind }) => kind === 'HelmChart');
  const ofCharts = items.flatMap(({ kind, metadata }): readonly SystemPart[] => {
    const isOfChart = charts.some(({ name }) => name === metadata.annotations[RELEASE_ANNOTATION]);
    return isOfChart && (kind === 'Deployment' || kind === 'DaemonSet')
      ? [{ kind, name: metadata.name }]
      : [];
  });
  return [...parts, ...ofCharts].flatMap((part) => {
    const isMade = items.some((item) => isMadeOf(part, item));
    return isMade ? [] : [unready(part, items)];
  });
}

function isMadeOf({ kind, name }: SystemPart, item: SystemObject): boolean {
  const { metadata, spec, status } = item;
  if (kind === 'HelmChart') {
    return item.kind === 'Job' && metadata.name === `helm-install-${name}` && status.succeeded > 0;
  }
  if (item.kind !== kind || metadata.name !== name) {
    return false;
  }
  const isSeen = status.observedGeneration >= metadata.generation;
  return kind === 'Deployment'
    ? isSeen && Math.min(status.availableReplicas, status.updatedReplicas) >= spec.replicas
    : isSeen && status.numberReady >= status.desiredNumberScheduled;
}

function unready({ kind, name }: SystemPart, items: readonly SystemObject[]): UnreadyPart {
  const owner = kind === 'HelmChart' ? `helm-install-${name}` : name;
  const pods = items.filter(
    (item) => item.kind === 'Pod' && item.metadata.name.startsWith(`${owner}-`),
  );
  const reasons = pods.flatMap((pod) => reasonOf(pod) ?? []);
  const worst = (['broken', 'image', 'place'] as const).flatMap((state) =>
    reasons.filter((reason) => reason.state === state),
  )[0];
  return { name, ...(worst ?? reasons[0] ?? { state: 'starts', because: 'it starts' }) };
}

/** The kubelet's own words (k8s.io/kubernetes, "pkg/kubelet/images/types.go"). */
const IMAGE_REASONS = /^(Err)?Image|^RegistryUnavailable|^InvalidImageName/;
const STARTING_REASONS = /^(ContainerCreating|PodInitializing|)$/;

function reasonOf({ status }: SystemObject): Omit<UnreadyPart, 'name'> | undefined {
  const scheduled = status.conditions.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return { state: 'place', because: `no node takes it: ${scheduled.message}` };
  }
  const containers = [...status.initContainerStatuses, ...status.containerStatuses];
  const waiting = containers.flatMap(({ image, state }) =>
    state.waiting === undefined ? [] : [{ image, ...state.waiting }],
  );
  const odd = waiting.find(({ reason }) => !STARTING_REASONS.test(reason)) ?? waiting[0];
  if (odd === undefined) {
    return undefined;
  }
  if (STARTING_REASONS.test(odd.reason)) {
    return { state: 'starts', because: `${odd.image} is fetched or started` };
  }
  return IMAGE_REASONS.test(odd.reason)
    ? { state: 'image', because: `${odd.image} is not there (${odd.reason})` }
    : { state: 'broken', because: `${odd.reason}: ${odd.message || odd.image}` };
}
