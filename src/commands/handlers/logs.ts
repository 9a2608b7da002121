import type { V1Pod } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { readPodLogs } from '../../kubernetes/pods/logs.ts';
import { chooseContainer, findPods, podName } from '../../kubernetes/pods/target.ts';
import { requireAllowed } from '../../policy/decision.ts';
import { LogsData, LogsPayload } from '../../protocol/commands/pod.ts';
import { COMMAND_OUTPUT_LIMIT_BYTES } from '../../protocol/rest.ts';
import { type CommandContext, commandHandler } from '../engine/handler.ts';

const TIMEOUT_MS = 60_000;
/** Pods of one Deployment whose logs are read. */
const PODS_MAX = 20;
/** Room in the output for the names of pods. */
const PREFIX_ROOM_BYTES = 64 * 1024;

interface PodLog {
  readonly pod: string;
  readonly container?: string;
  readonly text: string;
  readonly truncated: boolean;
  readonly failure?: AgentError;
}

/**
 * logs: the newest lines of a pod, or of every pod of a Deployment, each line then behind the name
 * of its pod. If one of several pods gives no log, the answer says so and does not fail.
 */
export const logsCommand = commandHandler({
  type: 'logs',
  payload: LogsPayload,
  data: LogsData,
  namespace: (payload) => payload.namespace,
  priority: 'urgent',
  lane: (payload) => `logs/${payload.namespace}/${payload.pod ?? payload.name}`,
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const pods = await findPods(context.kubernetes, payload, context.signal);
    const asked = pods.slice(0, PODS_MAX);
    const limitBytes = Math.floor((COMMAND_OUTPUT_LIMIT_BYTES - PREFIX_ROOM_BYTES) / asked.length);
    const logs: PodLog[] = [];
    for (const pod of asked) {
      logs.push(await logOf(pod, payload, limitBytes, context));
    }
    const [first, ...others] = logs;
    if (first?.failure !== undefined && others.every(({ failure }) => failure !== undefined)) {
      throw first.failure;
    }
    return {
      output: first !== undefined && pods.length === 1 ? first.text : prefixed(logs),
      data: {
        pods: logs.map(({ text: _, failure, ...log }) =>
          failure === undefined ? log : { ...log, error: failure.message },
        ),
        pods_left_out: pods.length - asked.length,
      },
      truncated: logs.some(({ truncated }) => truncated),
    };
  },
});

async function logOf(
  pod: V1Pod,
  payload: LogsPayload,
  limitBytes: number,
  context: CommandContext,
): Promise<PodLog> {
  const name = podName(pod);
  try {
    requireAllowed(
      context.policy.access({
        verb: 'get',
        group: '',
        resource: 'pods',
        subresource: 'log',
        namespace: payload.namespace,
        name,
      }),
    );
    const container = chooseContainer(pod, payload.container);
    const { lines, since_seconds: sinceSeconds, previous } = payload;
    const request = { container, lines, sinceSeconds, previous, limitBytes };
    const log = await readPodLogs(context.kubernetes, pod, request, context.signal);
    return { pod: name, container, ...log };
  } catch (thrown) {
    if (!(thrown instanceof AgentError) || context.signal.aborted) {
      throw thrown;
    }
    return { pod: name, text: '', truncated: false, failure: thrown };
  }
}

function prefixed(logs: readonly PodLog[]): string {
  return logs
    .flatMap(({ pod, text, failure }) => {
      const lines = failure === undefined ? linesOf(text) : [`(no log: ${failure.message})`];
      return lines.map((line) => `[${pod}] ${line}\n`);
    })
    .join('');
}

/** Keeps empty lines; the last line may have no end. */
function linesOf(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}
