import { DeployData, UpdatePayload } from '../../protocol/commands/deploy.ts';
import { applicationTimeoutMs, bringAbout } from '../applications/bring.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { planUpdate } from '../applications/plan.ts';

/**
 * update: changes the given fields; everything else stays as it is, whoever owns it. Nothing that
 * the payload does not name is ever touched.
 */
export const updateCommand = workloadCommand({
  type: 'update',
  payload: UpdatePayload,
  data: DeployData,
  timeoutMs: (payload) => applicationTimeoutMs(payload),
  run: async (payload, context) =>
    await bringAbout(context, payload, () => planUpdate(context, payload)),
});
