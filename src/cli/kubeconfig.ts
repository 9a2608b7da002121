import { AgentError } from '../core/errors.ts';
import type { SubcommandDefinition } from './define-subcommand.ts';

export const kubeconfigSubcommand: SubcommandDefinition = {
  name: 'kubeconfig',
  description:
    'Prints a kubeconfig for this cluster: the administrator’s own, which opens all of it, or with ' +
    '--local one that goes through the agent, within the local policy, on this machine.',
  example: 'sudo pipeops-agent kubeconfig --local > ~/.kube/agent',
  flags: {
    local: {
      type: 'boolean',
      description: 'Through the agent and its policy; for root and the group pipeops-agent',
    },
  },
  positionals: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { clusterKubeconfig, localKubeconfig } = await import('../host/kubeconfig.ts');
    if (flags['local'] === true) {
      const { askLocalAccess } = await import('./ask-daemon.ts');
      context.io.stdout(localKubeconfig(await askLocalAccess(context)));
      return 0;
    }
    if (context.uid !== 0) {
      throw new AgentError('NOT_ROOT', "The administrator's kubeconfig is for root", {
        hint: 'Run it with sudo; or through the agent: pipeops-agent kubeconfig --local',
      });
    }
    context.io.stdout(await clusterKubeconfig(context));
    return 0;
  },
};
