import type { V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { type CutText, middleCut } from '../../core/text/middle-cut.ts';
import type { KubernetesClient } from '../api/client.ts';
import { isRejectedWith } from '../api/rejection.ts';
import { hasPreviousRun, notRunningReason, podName } from './target.ts';

/** What the kubelet answers, with 200, for a run whose files it has removed (GetKubeletContainerLogs). */
const LOG_IS_GONE = /^unable to retrieve container logs for \S+:\/\/\S+$/;

export interface LogRequest {
  readonly container: string;
  /** The newest ones. */
  readonly lines: number;
  readonly sinceSeconds: number | undefined;
  /** Of the run before the last restart. */
  readonly previous: boolean;
  /** More is cut in the middle. */
  readonly limitBytes: number;
}

/**
 * What a container has written. Never held as a whole: lines have no limit.
 * @throws AgentError NOT_FOUND when there was no such run or its log is gone; NOT_RUNNING with the reason when
 * the container has not started yet; those of the client
 */
export async function readPodLogs(
  client: KubernetesClient,
  pod: V1Pod,
  request: LogRequest,
  signal: AbortSignal,
): Promise<CutText> {
  const { container } = request;
  const { path, query } = askFor(pod, request);
  const text = middleCut(request.limitBytes);
  try {
    for await (const bytes of client.bytes(path, query, signal)) {
      text.add(bytes);
    }
  } catch (thrown) {
    throw explained(pod, container, thrown);
  }
  const result = text.result();
  if (LOG_IS_GONE.test(result.text)) {
    throw new AgentError('NOT_FOUND', `The log of container "${container}" has been removed`, {
      hint: 'Kubernetes keeps the log of one run before; ask again when it has been restarted',
    });
  }
  return result;
}

/**
 * What a container has written and, with `follow`, what it writes until the signal. Resolves when it begins.
 * @throws the same
 */
export async function openPodLog(
  client: Pick<KubernetesClient, 'openBytes'>,
  pod: V1Pod,
  request: Omit<LogRequest, 'limitBytes'> & { readonly follow: boolean },
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const { path, query } = askFor(pod, request);
  try {
    return await client.openBytes(
      path,
      request.follow ? { ...query, follow: true } : query,
      signal,
    );
  } catch (thrown) {
    throw explained(pod, request.container, thrown);
  }
}

/** @throws AgentError NOT_FOUND when there was no such run */
function askFor(
  pod: V1Pod,
  { container, lines, sinceSeconds, previous }: Omit<LogRequest, 'limitBytes'>,
): { readonly path: string; readonly query: Readonly<Record<string, string | number | boolean>> } {
  if (previous && !hasPreviousRun(pod, container)) {
    throw new AgentError('NOT_FOUND', `Container "${container}" has no previous run`, {
      hint: 'It has not been restarted since its pod was made: ask without "previous"',
    });
  }
  return {
    path: `${pathOfObject(KINDS.pod, { namespace: pod.metadata?.namespace, name: podName(pod) })}/log`,
    query: {
      container,
      tailLines: lines,
      ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
      ...(previous ? { previous: true } : {}),
    },
  };
}

/**
 * A container that never ran has no log. The API answers 400, and its pod knows more of the reason.
 */
function explained(pod: V1Pod, container: string, thrown: unknown): unknown {
  const isBadRequest = isRejectedWith(400, thrown);
  const reason = notRunningReason(pod, container);
  return isBadRequest && reason !== undefined
    ? new AgentError('NOT_RUNNING', `Container "${container}" has no log yet: ${reason}`, {
        hint: 'Correct what the reason names, or wait until it has started',
        cause: thrown,
      })
    : thrown;
}
