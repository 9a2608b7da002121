import type { V1Deployment } from '@kubernetes/client-node';
import { followRollout } from '../../kubernetes/rollout.ts';
import { ScaleData, ScalePayload } from '../../protocol/commands.ts';
import { commandHandler } from '../handler.ts';
import { ROLLOUT_MARGIN_MS, rolloutFailure } from '../rollout-failure.ts';

/** scale: sets the replicas of a Deployment and waits for them. */
export const scaleCommand = commandHandler({
  type: 'scale',
  payload: ScalePayload,
  data: ScaleData,
  namespace: (payload) => payload.namespace,
  priority: 'normal',
  lane: (payload) => `ns/${payload.namespace}`,
  timeoutMs: (payload) => payload.wait_seconds * 1_000 + ROLLOUT_MARGIN_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    await context.kubernetes.patch<V1Deployment>(
      `/apis/apps/v1/namespaces/${payload.namespace}/deployments/${payload.name}`,
      { spec: { replicas: payload.replicas } },
      context.signal,
    );
    const outcome = await followRollout(
      { clock: context.clock, client: context.kubernetes },
      payload,
      payload.wait_seconds * 1_000,
      (state) => context.log.info('rollout', { ready: state.ready, wanted: state.wanted }),
      context.signal,
    );
    const data = { replicas_wanted: outcome.wanted, replicas_ready: outcome.ready };
    const output = `${payload.namespace}/${payload.name}: ${outcome.ready} of ${outcome.wanted} replicas ready\n`;
    return outcome.complete || payload.wait_seconds === 0
      ? { output, data }
      : { output, data, failure: rolloutFailure(payload, outcome) };
  },
});
