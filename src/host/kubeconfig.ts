import { AgentError } from '../core/errors.ts';
import type { Clock, Exec, Files } from '../core/ports.ts';
import type { LocalAccess } from '../protocol/local-api.ts';
import { readClusterInfo } from './cluster-info.ts';
import { K3S_ADMIN_KUBECONFIG_FILE } from './paths.ts';

/** What k3s writes as its own address. */
const LOCAL_SERVER = 'https://127.0.0.1:6443';

/**
 * The administrator's kubeconfig of this cluster as k3s made it, with the address under which other
 * machines reach it. It opens the whole cluster.
 * @throws AgentError NOT_A_SERVER, KUBERNETES_API
 */
export async function clusterKubeconfig(deps: {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
}): Promise<string> {
  const info = await readClusterInfo(deps);
  const text = await deps.files.readText(K3S_ADMIN_KUBECONFIG_FILE);
  if (text === undefined) {
    throw new AgentError('NOT_A_SERVER', `There is no ${K3S_ADMIN_KUBECONFIG_FILE}`, {
      hint: 'Check that k3s runs: systemctl status k3s',
    });
  }
  return text.replaceAll(LOCAL_SERVER, info.servers[0] ?? LOCAL_SERVER);
}

/** A kubeconfig (JSON, which is YAML) that goes through the agent and its policy. */
export function localKubeconfig(access: LocalAccess): string {
  const name = 'pipeops-agent';
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: {
          server: access.server,
          'certificate-authority-data': Buffer.from(access.certificate).toString('base64'),
        },
      },
    ],
    // By file: no secret stands in here, and a restart of the agent changes nothing.
    users: [{ name, user: { tokenFile: access.token_file } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(kubeconfig, null, 2)}\n`;
}
