import type { V1Deployment } from '@kubernetes/client-node';
import { changeDeployment } from '../../kubernetes/deployments/change.ts';
import { ScaleData, ScalePayload } from '../../protocol/commands/workload.ts';
import { applicationPaths } from '../applications/managed-objects.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { rollOutAndTell, rolloutTimeoutMs } from '../applications/roll-out.ts';

/** scale: sets the replicas of a Deployment and waits for them. */
export const scaleCommand = workloadCommand({
  type: 'scale',
  payload: ScalePayload,
  data: ScaleData,
  timeoutMs: (payload) => rolloutTimeoutMs(payload),
  run: async (payload, context) => {
    const { kubernetes, signal } = context;
    const { deployment } = applicationPaths(payload);
    await changeDeployment(
      kubernetes,
      await kubernetes.get<V1Deployment>(deployment, signal),
      (applied) => ({ ...applied, spec: { ...applied.spec, replicas: payload.replicas } }),
      signal,
    );
    const rollout = await rollOutAndTell(context, payload);
    return {
      output: rollout.line,
      data: rollout.facts,
      ...rollout.failure,
    };
  },
});
