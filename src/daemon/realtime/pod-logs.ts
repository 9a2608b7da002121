/** What containers write, for the local API: by the same rules as the command `logs`. */
import type { V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import type { Clock } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { redactedLines } from '../../core/text/redacted-lines.ts';
import { childSignal, settledOrAborted } from '../../core/waiting.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import { openPodLog } from '../../kubernetes/pods/logs.ts';
import { chooseContainer } from '../../kubernetes/pods/target.ts';
import { type Policy, requireAllowed } from '../../policy/decision.ts';
import type { PodLogQuery } from '../../protocol/local-queries.ts';
import { iterableStream } from '../../server/api/iterable-stream.ts';
import type { PodLogSource } from '../../server/api/sources.ts';

/** Logs that are read at the same time. */
const POD_LOGS_MAX = 50;

interface PodLogsDeps {
  readonly clock: Clock;
  readonly kubernetes: Pick<KubernetesClient, 'get' | 'openBytes'>;
  readonly policy: Pick<Policy, 'access'>;
}

export function podLogs(deps: PodLogsDeps): {
  readonly source: PodLogSource;
  readonly service: Service;
} {
  const stopping = new AbortController();
  let count = 0;
  const open: PodLogSource['open'] = async (query, signal) => {
    if (count >= POD_LOGS_MAX) {
      throw new AgentError('TOO_MANY_REQUESTS', `${POD_LOGS_MAX} logs are read already`, {
        hint: 'End those that are not needed any more',
      });
    }
    count += 1;
    const reading = childSignal(AbortSignal.any([signal, stopping.signal]));
    const end = once(() => {
      count -= 1;
      reading.end();
    });
    // The caller may go before it is sent anything.
    signal.addEventListener('abort', end, { once: true });
    try {
      const lines = redactedLines(await openLog(deps, query, reading.signal));
      return iterableStream(deps, lines, end);
    } catch (thrown) {
      end();
      throw thrown;
    }
  };
  return {
    source: { open },
    service: {
      name: 'pod-logs',
      start: async (signal) => {
        const stop = async () => {
          await aborted(signal);
          stopping.abort();
        };
        return { done: stop() };
      },
    },
  };
}

async function openLog(
  { kubernetes, policy }: PodLogsDeps,
  query: PodLogQuery,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const { namespace, pod: name, tail, since_seconds: sinceSeconds, previous, follow } = query;
  requireAllowed(
    policy.access({
      ...{ verb: 'get', group: '', resource: 'pods', subresource: 'log' },
      ...{ namespace, name },
    }),
  );
  const pod = await kubernetes.get<V1Pod>(pathOfObject(KINDS.pod, { namespace, name }), signal);
  const container = chooseContainer(pod, query.container);
  const request = { container, lines: tail, sinceSeconds, previous, follow };
  return await openPodLog(kubernetes, pod, request, signal);
}

function aborted(signal: AbortSignal): Promise<void> {
  return settledOrAborted(new Promise<never>(() => undefined), signal);
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) {
      isDone = true;
      work();
    }
  };
}
