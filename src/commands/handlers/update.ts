import { DeployData, UpdatePayload } from '../../protocol/commands/deploy.ts';
import { applicationTimeoutMs, bringAbout } from '../applications/bring.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { planUpdate } from '../applications/plan.ts';

/**
 * update: changes the fields that are given; all else stays as it is, whoever owns it. What has no
 * name in the payload is never touched.
 */
export const updateCommand = workloadCommand({
  type: 'update',
  payload: UpdatePayload,
  data: DeployData,
  timeoutMs: (payload) => applicationTimeoutMs(payload),
  run: async (payload, context) =>
    await bringAbout(context, payload, () => planUpdate(context, payload)),
});
