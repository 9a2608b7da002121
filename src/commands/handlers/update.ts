import type { V1Deployment } from '@kubernetes/client-node';
import { DeployData, UpdatePayload } from '../../protocol/commands/deploy.ts';
import { applicationTimeoutMs, bringAbout } from '../application.ts';
import { planUpdate } from '../application-update.ts';
import { applicationPaths } from '../managed-objects.ts';
import { workloadCommand } from '../workload-command.ts';

/**
 * update: changes the fields that are given; all else stays as it is, whoever owns it. What has no
 * name in the payload is never touched.
 */
export const updateCommand = workloadCommand({
  type: 'update',
  payload: UpdatePayload,
  data: DeployData,
  timeoutMs: (payload) => applicationTimeoutMs(payload),
  run: async (payload, context) => {
    const { deployment } = applicationPaths(payload);
    return await bringAbout(context, payload, async () =>
      planUpdate(
        context,
        payload,
        await context.kubernetes.get<V1Deployment>(deployment, context.signal),
      ),
    );
  },
});
