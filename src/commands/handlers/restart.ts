import type { V1Deployment } from '@kubernetes/client-node';
import { COMMAND_ID_ANNOTATION } from '../../core/labels.ts';
import { RestartData, RestartPayload } from '../../protocol/commands/workload.ts';
import { applicationPaths } from '../applications/managed-objects.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { rollOutAndTell, rolloutTimeoutMs } from '../applications/roll-out.ts';

/**
 * restart: replaces all pods of a Deployment, as its strategy says. The command id is in the pod
 * template, so a rerun restarts nothing twice. It is a patch and not a server-side apply: the next
 * deploy would remove an applied annotation, and so restart the pods once more.
 */
export const restartCommand = workloadCommand({
  type: 'restart',
  payload: RestartPayload,
  data: RestartData,
  timeoutMs: (payload) => rolloutTimeoutMs(payload),
  run: async (payload, context) => {
    const annotations = { [COMMAND_ID_ANNOTATION]: context.commandId };
    await context.kubernetes.patch<V1Deployment>(
      applicationPaths(payload).deployment,
      { spec: { template: { metadata: { annotations } } } },
      context.signal,
    );
    const rollout = await rollOutAndTell(context, payload);
    return {
      output: rollout.line,
      data: {
        restarted: `Deployment/${payload.name}`,
        revision: rollout.revision,
        ...rollout.facts,
      },
      ...rollout.failure,
    };
  },
});
