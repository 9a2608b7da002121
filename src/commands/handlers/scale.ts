import type { V1Deployment } from '@kubernetes/client-node';
import { changeDeployment } from '../../kubernetes/change-deployment.ts';
import { ScaleData, ScalePayload } from '../../protocol/commands/workload.ts';
import { commandHandler } from '../handler.ts';
import { applicationPaths, workloadLane } from '../managed-objects.ts';
import {
  rollOut,
  rolloutFacts,
  rolloutFailure,
  rolloutLine,
  rolloutTimeoutMs,
} from '../roll-out.ts';

/** scale: sets the replicas of a Deployment and waits for them. */
export const scaleCommand = commandHandler({
  type: 'scale',
  payload: ScalePayload,
  data: ScaleData,
  namespace: (payload) => payload.namespace,
  priority: 'normal',
  lane: (payload) => workloadLane(payload),
  timeoutMs: (payload) => rolloutTimeoutMs(payload),
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const { kubernetes, signal } = context;
    const { deployment } = applicationPaths(payload);
    await changeDeployment(
      kubernetes,
      await kubernetes.get<V1Deployment>(deployment, signal),
      (applied) => ({ ...applied, spec: { ...applied.spec, replicas: payload.replicas } }),
      signal,
    );
    const outcome = await rollOut(context, payload, payload.wait_seconds);
    return {
      output: rolloutLine(payload, outcome),
      data: rolloutFacts(outcome),
      ...rolloutFailure(payload, outcome, payload.wait_seconds),
    };
  },
});
