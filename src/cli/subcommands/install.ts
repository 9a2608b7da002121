import { AgentError } from '../../core/errors.ts';
import { DRY_RUN_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import type { SubcommandDefinition } from '../definition/subcommand.ts';

export const installSubcommand: SubcommandDefinition = {
  name: 'install',
  description:
    'Makes this machine a Kubernetes server that its control plane can use. Safe to run again: it goes on where it ended.',
  example: 'sudo pipeops-agent install --token-file /root/token --cluster-name prod',
  flags: {
    'token-file': {
      type: 'string',
      description: "File with the control plane's token; asked for when absent",
      placeholder: 'FILE',
    },
    ...settingFlags(),
    policy: {
      type: 'string',
      description: 'What the control plane may do here: see "policy presets" (default standard)',
      placeholder: 'PRESET',
    },
    'dry-run': DRY_RUN_FLAG,
    json: JSON_FLAG,
  },
  positionals: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const options = { json: flags['json'] === true, dryRun: flags['dry-run'] === true };
    if (isWorkerWanted(context.env)) {
      const { joinWithK3sVariables } = await import('../../machine/join.ts');
      return joinWithK3sVariables(context, flags, options);
    }
    const { installServer } = await import('../../machine/install-server.ts');
    return installServer(context, flags, options);
  },
};

/**
 * Whether k3s' own variables ask for a worker.
 * @throws AgentError USAGE where they do by half: a worker that becomes a server is a second cluster
 */
function isWorkerWanted(env: Readonly<Record<string, string | undefined>>): boolean {
  const type = env['NODE_TYPE'] ?? '';
  const hint =
    'To make this machine a worker: NODE_TYPE=agent K3S_URL=https://SERVER:6443 K3S_TOKEN=…, ' +
    'or "pipeops-agent join". To make it a server, set none of them';
  if (!['', 'agent', 'server'].includes(type)) {
    throw new AgentError('USAGE', 'NODE_TYPE is neither "agent" nor "server"', { hint });
  }
  const given = ['K3S_URL', 'K3S_TOKEN'].find((name) => (env[name] ?? '') !== '');
  if (type !== 'agent' && given !== undefined) {
    throw new AgentError('USAGE', `${given} is set, and NODE_TYPE is not "agent"`, { hint });
  }
  return type === 'agent';
}
