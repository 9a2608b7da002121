import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import { K3S_ADMIN_KUBECONFIG_FILE } from '../../core/k3s-places.ts';
import { KUBECONFIG_TYPE } from '../../core/kinds.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { AdminKubeconfig } from '../../protocol/files/kubeconfig.ts';
import type { LocalAccess } from '../../protocol/local-api.ts';
import { readClusterInfo } from './info.ts';
import type { KubeconfigEntries } from './kubeconfig-merge.ts';

/** The addresses that k3s writes into its kubeconfig: IPv6's where the cluster's Services begin with IPv6. */
const LOCAL_SERVER = /https:\/\/(?:127\.0\.0\.1|\[::1\]):6443/g;

/**
 * The administrator's kubeconfig that k3s made, with the address under which other machines reach the
 * cluster. Whoever has it may do everything in the cluster.
 * @throws AgentError NOT_A_SERVER, KUBERNETES_API
 */
export async function clusterKubeconfig(deps: {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}): Promise<string> {
  const info = await readClusterInfo(deps);
  const text = await deps.files.readText(K3S_ADMIN_KUBECONFIG_FILE);
  if (text === undefined) {
    throw new AgentError('NOT_A_SERVER', `There is no ${K3S_ADMIN_KUBECONFIG_FILE}`, {
      hint: 'Check that k3s runs: systemctl status k3s',
    });
  }
  return text.replaceAll(LOCAL_SERVER, (local) => info.servers[0] ?? local);
}

/** The same for a merge, under another name: every k3s calls its entries "default". */
export function clusterEntries(text: string, name: string): KubeconfigEntries {
  const { clusters, users } = AdminKubeconfig.parse(Bun.YAML.parse(text));
  return { name, cluster: clusters[0].cluster, user: users[0].user };
}

/**
 * Entries for the way through the agent and its policy. Of the daemon's answer only the certificate is
 * used. A daemon in foreign hands could otherwise make kubectl send any file to any address. As it is,
 * kubectl sends the local token to this machine, and the daemon knows that token anyway.
 * @param tlsPort of root's configuration; 0 where the system chose one, which only the daemon knows
 * @throws AgentError FILE_ACCESS where the token's file is not root's
 */
export async function localEntries(
  { files, places }: { readonly files: Files; readonly places: Places },
  access: LocalAccess,
  tlsPort: number,
): Promise<KubeconfigEntries> {
  for (const path of [dirname(places.localTokenFile), places.localTokenFile]) {
    const stat = await files.stat(path);
    if (stat !== undefined && (stat.uid !== 0 || stat.kind === 'link')) {
      throw new AgentError('FILE_ACCESS', `Cannot trust ${path}: it is not root's`, {
        hint: 'Start the agent again, which makes it anew: sudo systemctl restart pipeops-agent',
      });
    }
  }
  const port = tlsPort === 0 ? Number(new URL(access.server).port) : tlsPort;
  return {
    name: 'pipeops-agent',
    cluster: {
      server: `https://127.0.0.1:${port}/proxy`,
      'certificate-authority-data': Buffer.from(access.certificate).toString('base64'),
    },
    // The token's file, so that this holds no secret and stays valid when the agent restarts.
    user: { tokenFile: places.localTokenFile },
  };
}

/** A whole kubeconfig: JSON, which is YAML. */
export function kubeconfigOf({ name, cluster, user }: KubeconfigEntries): string {
  const kubeconfig = {
    ...KUBECONFIG_TYPE,
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(kubeconfig, null, 2)}\n`;
}
