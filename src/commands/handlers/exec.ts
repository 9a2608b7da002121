import type { V1Pod } from '@kubernetes/client-node';
import { AgentError, assertNever } from '../../core/errors.ts';
import { type CutText, cutInTheMiddle } from '../../core/text/middle-cut.ts';
import { type ProgramOutcome, runInPod } from '../../kubernetes/pods/exec.ts';
import {
  chooseContainer,
  findPods,
  isRunning,
  notRunningReason,
  podName,
} from '../../kubernetes/pods/target.ts';
import { requireAllowed } from '../../policy/decision.ts';
import { ExecData, ExecPayload } from '../../protocol/commands/pod.ts';
import { stopped } from '../engine/cancelled.ts';
import { type CommandContext, commandHandler } from '../engine/handler.ts';
import { secretsOf } from '../engine/secrets.ts';

/**
 * Limit of stdout and of stderr each: twice in the result, as data and as text, that stays below 1
 * MiB.
 */
const OUTPUT_LIMIT_BYTES = 256 * 1024;
/** As JSON, so that all four fit into one result: a control character takes six bytes there. */
const OUTPUT_JSON_LIMIT_BYTES = 800 * 1024;
/** Time for finding the pod and opening the stream, beyond that of the program. */
const MARGIN_MS = 60_000;

/**
 * exec: runs a program in a container, at most once: after a crash of the daemon nobody knows
 * whether it ran. Kubernetes does not end a program whose stream is closed, so after a timeout or a
 * cancel the program may go on, and the answer says so.
 */
export const execCommand = commandHandler({
  type: 'exec',
  payload: ExecPayload,
  data: ExecData,
  namespace: (payload) => payload.namespace,
  priority: 'normal',
  lane: (payload) => `exec/${payload.namespace}/${payload.pod ?? payload.name}`,
  timeoutMs: (payload) => payload.timeout_seconds * 1_000 + MARGIN_MS,
  afterRestart: 'fail',
  run: async (payload, context) => {
    const { pod, container } = await findContainer(payload, context);
    requireAllowed(
      context.policy.access({
        verb: 'create',
        group: '',
        resource: 'pods',
        subresource: 'exec',
        namespace: payload.namespace,
        name: pod,
      }),
    );
    const outcome = await runInPod(
      { clock: context.clock, openChannels: context.openChannels },
      {
        namespace: payload.namespace,
        pod,
        container,
        command: payload.command,
        stdin: payload.stdin,
        timeoutMs: payload.timeout_seconds * 1_000,
        outputLimitBytes: OUTPUT_LIMIT_BYTES,
        secrets: secretsOf(payload),
      },
      context.signal,
    );
    const { end } = outcome;
    const [out, err] = [fitting(outcome.stdout), fitting(outcome.stderr)];
    const [stdout, stderr] = [out.text, err.text];
    const truncated = outcome.truncated || out.truncated || err.truncated;
    const exitCode = end.kind === 'exited' ? end.exitCode : null;
    const data = { pod, container, exit_code: exitCode, stdout, stderr, truncated };
    const failure = failureOf(payload, outcome);
    if (end.kind === 'interrupted' && failure !== undefined) {
      throw stopped(context, failure, failure.message, data);
    }
    return {
      output: stdout + stderr,
      data,
      truncated,
      ...(failure === undefined ? {} : { failure }),
    };
  },
});

function fitting(text: string): CutText {
  return Buffer.byteLength(JSON.stringify(text)) <= OUTPUT_JSON_LIMIT_BYTES
    ? { text, truncated: false }
    : cutInTheMiddle(text, OUTPUT_LIMIT_BYTES / 2);
}

/** The named pod, or the first of the Deployment in which the container runs. */
async function findContainer(
  payload: ExecPayload,
  context: CommandContext,
): Promise<{ readonly pod: string; readonly container: string }> {
  const pods = await findPods(context.kubernetes, payload, context.signal);
  const candidates = pods.map((pod) => ({
    pod,
    container: chooseContainer(pod, payload.container),
  }));
  const usable = candidates.find(({ pod, container }) => isRunning(pod, container));
  if (usable !== undefined) {
    return { pod: podName(usable.pod), container: usable.container };
  }
  const reasons = candidates.map(({ pod, container }) => whyNot(pod, container));
  throw new AgentError('NOT_RUNNING', `Nothing to run it in: ${reasons.slice(0, 3).join('; ')}`, {
    hint: 'Correct what the reason names, or wait until the container has started',
  });
}

function whyNot(pod: V1Pod, container: string): string {
  return `container "${container}" of pod "${podName(pod)}": ${notRunningReason(pod, container)}`;
}

function failureOf(payload: ExecPayload, { end }: ProgramOutcome): AgentError | undefined {
  const [program = ''] = payload.command;
  const mayRun = 'It may still run: Kubernetes does not end a program whose stream is closed';
  switch (end.kind) {
    case 'exited':
      return end.exitCode === 0
        ? undefined
        : new AgentError('EXEC_FAILED', `"${program}" ended with exit code ${end.exitCode}`, {
            hint: 'What it printed is in the output of the result',
          });
    case 'failed':
      return new AgentError('EXEC_FAILED', `Kubernetes could not run "${program}": ${end.reason}`, {
        hint: 'Check that the program is in the image of the container',
      });
    case 'timed-out':
      return new AgentError(
        'TIMEOUT',
        `"${program}" did not end in ${payload.timeout_seconds} s; its stream was closed`,
        { hint: mayRun },
      );
    case 'interrupted':
      return new AgentError(
        'COMMAND_CANCELLED',
        `The stream of "${program}" was closed before it ended. ${mayRun}`,
      );
    case 'lost':
      return new AgentError(
        'COMMAND_OUTCOME_UNKNOWN',
        `The stream of "${program}" broke before it ended: ${end.reason}`,
        { hint: `${mayRun}. Look whether it had its effect, then send a new command if need be` },
      );
    default:
      return assertNever(end);
  }
}
