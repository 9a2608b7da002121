/** What a pod that is not ready says about why. */
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import { isConditionTrue } from '../api/condition.ts';

export type ReasonKind =
  | 'image_pull'
  | 'crash_loop'
  | 'out_of_memory'
  | 'unschedulable'
  | 'quota'
  | 'pod_refused'
  | 'probe_failed'
  | 'configuration'
  | 'paused'
  | 'not_observed'
  | 'event';

export interface FailureReason {
  readonly kind: ReasonKind;
  /** A sentence without the kind. */
  readonly text: string;
  /** It does not go away by waiting. */
  readonly final: boolean;
  /** For a container that ended: its log may say why. */
  readonly container?: string;
}

/** Reasons of `state.waiting` (kubelet, pkg/kubelet/images and pkg/kubelet/container). */
const IMAGE_REASONS = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);
const CONFIGURATION_REASONS = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PostStartHookError',
  'PreCreateHookError',
]);
/**
 * An image that does not exist, or is not for us, will not be there a minute later; a registry may
 * be.
 */
const IMAGE_FINAL =
  /InvalidImageName|ErrImageNeverPull|invalid reference format|: not found|manifest unknown|unauthorized|denied|403 Forbidden/i;

/** Empty for a pod that is ready, and for one that has not had the time yet. */
export function podReasons(pod: V1Pod): readonly FailureReason[] {
  const { conditions, initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  if (isConditionTrue(conditions, 'Ready')) {
    return [];
  }
  const unscheduled = conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled !== undefined) {
    // Another pod may go, or a node may come.
    const text = unscheduled.message ?? unscheduled.reason ?? 'no node was found for it';
    return [{ kind: 'unschedulable', text, final: false }];
  }
  return [...initContainerStatuses, ...containerStatuses].flatMap(containerReasons);
}

function containerReasons(status: V1ContainerStatus): readonly FailureReason[] {
  const waiting = status.state?.waiting;
  const reason = waiting?.reason ?? '';
  const said = waiting?.message === undefined ? reason : `${reason}: ${waiting.message}`;
  if (IMAGE_REASONS.has(reason)) {
    const text = `image "${status.image}": ${said}`;
    return [{ kind: 'image_pull', text, final: IMAGE_FINAL.test(said) }];
  }
  if (CONFIGURATION_REASONS.has(reason)) {
    // What is missing, such as a Secret, may be made at any moment.
    return [{ kind: 'configuration', text: `container "${status.name}": ${said}`, final: false }];
  }
  return endedReasons(status);
}

function endedReasons(status: V1ContainerStatus): readonly FailureReason[] {
  const ended = status.state?.terminated ?? status.lastState?.terminated;
  // An init container that did its work has ended well; the others must not end.
  if (ended === undefined || status.ready) {
    return [];
  }
  const container = status.name;
  const restarts = `${status.restartCount} restarts`;
  if (ended.reason === 'OOMKilled') {
    const text = `container "${container}" used more memory than its limit, ${restarts}`;
    return [{ kind: 'out_of_memory', text, final: false }];
  }
  const message = ended.message === undefined ? '' : `: ${ended.message.trim()}`;
  const text = `container "${container}" ended with exit code ${ended.exitCode}, ${restarts}${message}`;
  // It may be waiting for something that comes: crashing is not final.
  return [{ kind: 'crash_loop', text, final: false, container }];
}
