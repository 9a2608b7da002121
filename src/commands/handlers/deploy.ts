import { DeployData, DeployPayload } from '../../protocol/commands/deploy.ts';
import { applicationTimeoutMs, bringAbout } from '../application.ts';
import { deploymentOf, ingressOf, serviceOf } from '../application-manifests.ts';
import { ensureNamespace } from '../ensure-namespace.ts';
import { workloadCommand } from '../workload-command.ts';

/**
 * deploy: an image as a Deployment, with a ClusterIP Service when it has ports and an Ingress when
 * it has domains; what the last deploy had and this one has not goes. Server-side apply makes a
 * second run harmless, so it is rerun after a crash.
 */
export const deployCommand = workloadCommand({
  type: 'deploy',
  payload: DeployPayload,
  data: DeployData,
  timeoutMs: (payload) => applicationTimeoutMs(payload),
  run: async (payload, context) =>
    await bringAbout(context, payload, async () => {
      const id = context.commandId;
      const [first] = payload.ports;
      await ensureNamespace(context, payload.namespace);
      return {
        deployment: deploymentOf(payload, id),
        service: first === undefined ? 'none' : serviceOf(payload, payload, id),
        ingress:
          first === undefined || payload.domains.length === 0
            ? 'none'
            : ingressOf(payload, { ...payload, port: first.container_port }, id),
      };
    }),
});
