/** Why a Deployment does not roll out: from its conditions, ReplicaSet, pods and their events. */
import type { CoreV1Event, V1Deployment, V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind, pathOfObject } from '../../core/kinds.ts';
import { redactedStart } from '../../core/text/middle-cut.ts';
import { redact } from '../../core/text/redact.ts';
import type { KubernetesClient } from '../api/client.ts';
import { isConditionTrue } from '../api/condition.ts';
import { type FailureReason, podReasons } from '../pods/reasons.ts';
import { selectorText } from './replica-sets.ts';
import { type DeploymentView, isTakenUp } from './view.ts';

/** Reasons given for one failure, at most. */
const REASONS_MAX = 10;
/** Longest text of a reason, characters. */
const REASON_LENGTH_MAX = 2_000;
/** Pods whose events are looked at, at most: replicas fail alike. */
const PODS_WITH_EVENTS_MAX = 10;
const EVENTS_PER_POD_MAX = 50;
/** Lines of the log of a container that crashed. */
const LOG_LINES = 20;
const LOG_LIMIT_BYTES = 4_096;

/** Warnings that say more than the status of the pod (kubelet, pkg/kubelet/events). */
const TELLING_EVENTS = new Set([
  'Unhealthy',
  'FailedMount',
  'FailedAttachVolume',
  'FailedCreatePodSandBox',
  'FailedToRetrieveImagePullSecret',
  'FailedPostStartHook',
]);

/** The reasons why what should run does not, each once. */
export async function failureReasons(
  client: KubernetesClient,
  view: DeploymentView,
  signal: AbortSignal,
): Promise<readonly FailureReason[]> {
  const found = [...deploymentReasons(view)];
  let asked = 0;
  for (const pod of await podsOfCurrent(client, view, signal)) {
    found.push(...podReasons(pod));
    const isReady = isConditionTrue(pod.status?.conditions, 'Ready');
    if (!isReady && found.length < REASONS_MAX && asked < PODS_WITH_EVENTS_MAX) {
      asked += 1;
      found.push(...(await eventReasons(client, pod, signal)));
    }
  }
  const byText = new Map(found.map((reason) => [reasonText(reason), reason]));
  return [...byText.values()].slice(0, REASONS_MAX);
}

/** `<kind>: <text>`, safe to show. */
export function reasonText({ kind, text }: FailureReason): string {
  const whole = `${kind}: ${text.trim()}`;
  const safe = redactedStart(whole, REASON_LENGTH_MAX + 1);
  return safe.length > REASON_LENGTH_MAX ? `${safe.slice(0, REASON_LENGTH_MAX)}…` : safe;
}

/** The last lines that a container wrote before it ended; undefined where they cannot be read. */
export async function lastLogLines(
  client: KubernetesClient,
  view: DeploymentView,
  container: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const pods = await podsOfCurrent(client, view, signal);
  for (const pod of pods) {
    const all = [
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.containerStatuses ?? []),
    ];
    const status = all.find(({ name }) => name === container);
    const endedNow = status?.state?.terminated !== undefined;
    if (!endedNow && status?.lastState?.terminated === undefined) {
      continue;
    }
    const { namespace = '', name = '' } = pod.metadata ?? {};
    const path = `${pathOfObject(KINDS.pod, { namespace, name })}/log`;
    const query = { container, tailLines: LOG_LINES, limitBytes: LOG_LIMIT_BYTES };
    try {
      return redact((await client.text(path, { ...query, previous: !endedNow }, signal)).trimEnd());
    } catch (thrown) {
      // The log of a container may be gone already: then the other reasons must do.
      if (!(thrown instanceof AgentError) || signal.aborted) {
        throw thrown;
      }
    }
  }
  return undefined;
}

function deploymentReasons(view: DeploymentView): readonly FailureReason[] {
  const { deployment, observed } = view;
  if (deployment.spec?.paused === true) {
    return [{ kind: 'paused', text: 'the Deployment is paused', final: true }];
  }
  if (!observed) {
    return [{ kind: 'not_observed', text: lagText(deployment), final: false }];
  }
  const said = conditionReasons(deployment);
  return said.length > 0 || isTakenUp(view)
    ? said
    : [{ kind: 'not_observed', text: 'its controller has made no ReplicaSet yet', final: false }];
}

function lagText({ metadata, status }: V1Deployment): string {
  const seen = status?.observedGeneration ?? 0;
  return (
    `the Deployment controller has not taken this change up (it has seen generation ${seen}, ` +
    `this is ${metadata?.generation ?? 0}): kube-controller-manager is busy or down`
  );
}

function conditionReasons(deployment: V1Deployment): readonly FailureReason[] {
  return (deployment.status?.conditions ?? []).flatMap((condition) => {
    const refused =
      (condition.type === 'ReplicaFailure' && condition.status === 'True') ||
      condition.reason === 'ReplicaSetCreateError';
    const text = condition.message ?? condition.reason ?? 'pods cannot be created';
    const kind = /exceeded quota|failed quota/.test(text) ? 'quota' : 'pod_refused';
    return refused ? [{ kind, text, final: true } as const] : [];
  });
}

async function podsOfCurrent(
  client: KubernetesClient,
  { deployment, current }: DeploymentView,
  signal: AbortSignal,
): Promise<readonly V1Pod[]> {
  if (current === undefined) {
    return [];
  }
  const pods: V1Pod[] = [];
  await client.eachOfPage<V1Pod>(
    pathOfKind(KINDS.pod, deployment.metadata?.namespace ?? ''),
    { labelSelector: selectorText(current.spec?.selector) },
    (pod) => {
      if (pod.metadata?.deletionTimestamp === undefined) {
        pods.push(pod);
      }
    },
    signal,
  );
  return pods;
}

async function eventReasons(
  client: KubernetesClient,
  pod: V1Pod,
  signal: AbortSignal,
): Promise<readonly FailureReason[]> {
  const { namespace = '', uid = '' } = pod.metadata ?? {};
  const { items } = await client.page<CoreV1Event>(
    pathOfKind(KINDS.event, namespace),
    { fieldSelector: `involvedObject.uid=${uid},type=Warning`, limit: EVENTS_PER_POD_MAX },
    signal,
  );
  return items.flatMap(({ reason = '', message = '' }): readonly FailureReason[] => {
    if (!TELLING_EVENTS.has(reason)) {
      return [];
    }
    return reason === 'Unhealthy'
      ? [{ kind: 'probe_failed', text: message, final: false }]
      : [{ kind: 'event', text: `${reason}: ${message}`, final: false }];
  });
}
