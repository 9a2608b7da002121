import { DeployData, DeployPayload } from '../../protocol/commands/deploy.ts';
import { applicationTimeoutMs, bringAbout } from '../applications/bring.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { planDeploy } from '../applications/plan.ts';

/**
 * deploy: an image as a Deployment, with a ClusterIP Service when it has ports and an Ingress when
 * it has domains. An application that already exists is changed as by `update`. Server-side apply
 * makes a second run harmless, so it is rerun after a crash.
 */
export const deployCommand = workloadCommand({
  type: 'deploy',
  payload: DeployPayload,
  data: DeployData,
  timeoutMs: (payload) => applicationTimeoutMs(payload),
  run: async (payload, context) =>
    await bringAbout(context, payload, () => planDeploy(context, payload)),
});
