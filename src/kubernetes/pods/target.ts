/** Which pod and which container a command means, and why one cannot be used. */
import type {
  V1ContainerStatus,
  V1Deployment,
  V1LabelSelector,
  V1LabelSelectorRequirement,
  V1Pod,
} from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { DEFAULT_CONTAINER_ANNOTATION } from '../../core/labels.ts';
import type { KubernetesClient } from '../api/client.ts';

export interface PodTarget {
  readonly namespace: string;
  /** A pod, or else a Deployment by `name`. */
  readonly pod?: string | undefined;
  readonly name?: string | undefined;
}

/**
 * The pod of that name, or all pods of the Deployment, by name.
 * @throws AgentError NOT_FOUND also for a Deployment without pods
 */
export async function findPods(
  client: KubernetesClient,
  target: PodTarget,
  signal: AbortSignal,
): Promise<readonly V1Pod[]> {
  const pods = pathOfKind(KINDS.pod, target.namespace);
  if (target.pod !== undefined) {
    return [await client.get<V1Pod>(`${pods}/${target.pod}`, signal)];
  }
  const path = `${pathOfKind(KINDS.deployment, target.namespace)}/${target.name}`;
  const deployment = await client.get<V1Deployment>(path, signal);
  const labelSelector = selectorText(deployment.spec?.selector ?? {});
  const page = await client.page<V1Pod>(pods, { labelSelector }, signal);
  if (page.items.length === 0) {
    throw new AgentError('NOT_FOUND', `Deployment "${target.name}" has no pods`, {
      hint: 'Scale it to at least one replica, or look at its events: get_resources',
    });
  }
  return page.items.toSorted((a, b) => podName(a).localeCompare(podName(b)));
}

export function podName(pod: V1Pod): string {
  return pod.metadata?.name ?? '';
}

/** As the API takes it in a query (kubernetes.io, "Labels and Selectors"). */
function selectorText(selector: V1LabelSelector): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  return [...labels, ...(selector.matchExpressions ?? []).map(requirementText)].join(',');
}

function requirementText({ key, operator, values = [] }: V1LabelSelectorRequirement): string {
  switch (operator) {
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  }
}

/**
 * The container that is named, the only one, or the one that the pod marks as its default.
 * @throws AgentError NOT_FOUND or COMMAND_INVALID, both with the names of the containers
 */
export function chooseContainer(pod: V1Pod, wanted: string | undefined): string {
  const containers = (pod.spec?.containers ?? []).map(({ name }) => name);
  const others = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.ephemeralContainers ?? [])];
  const all = [...containers, ...others.map(({ name }) => name)];
  if (wanted !== undefined) {
    if (all.includes(wanted)) {
      return wanted;
    }
    throw new AgentError('NOT_FOUND', `Pod "${podName(pod)}" has no container "${wanted}"`, {
      hint: `It has: ${all.join(', ')}`,
      details: { containers: all },
    });
  }
  const marked = pod.metadata?.annotations?.[DEFAULT_CONTAINER_ANNOTATION];
  const [only, ...more] = containers;
  if (marked !== undefined && containers.includes(marked)) {
    return marked;
  }
  if (only !== undefined && more.length === 0) {
    return only;
  }
  throw new AgentError('COMMAND_INVALID', `Pod "${podName(pod)}" has several containers`, {
    hint: `Name one of them as "container": ${all.join(', ')}`,
    details: { containers: all },
  });
}

function statusOf(pod: V1Pod, container: string): V1ContainerStatus | undefined {
  const { containerStatuses, initContainerStatuses, ephemeralContainerStatuses } = pod.status ?? {};
  return [
    ...(containerStatuses ?? []),
    ...(initContainerStatuses ?? []),
    ...(ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);
}

export function isRunning(pod: V1Pod, container: string): boolean {
  return statusOf(pod, container)?.state?.running !== undefined;
}

export function hasPreviousRun(pod: V1Pod, container: string): boolean {
  return statusOf(pod, container)?.lastState?.terminated !== undefined;
}

/** Why a container does not run, as a sentence without an end; undefined when it runs. */
export function notRunningReason(pod: V1Pod, container: string): string | undefined {
  const state = statusOf(pod, container)?.state;
  if (state?.running !== undefined) {
    return undefined;
  }
  if (state?.terminated !== undefined) {
    const { exitCode, reason } = state.terminated;
    return `it has ended with exit code ${exitCode}${reason === undefined ? '' : ` (${reason})`}`;
  }
  if (state?.waiting?.reason !== undefined) {
    const { reason, message } = state.waiting;
    return `it waits: ${reason}${message === undefined ? '' : `: ${message}`}`;
  }
  const unscheduled = pod.status?.conditions?.find(
    (each) => each.type === 'PodScheduled' && each.status === 'False',
  );
  const why = unscheduled?.message ?? unscheduled?.reason;
  return why === undefined
    ? `its pod is ${pod.status?.phase ?? 'in an unknown phase'}`
    : `its pod is not scheduled: ${why}`;
}
