import { AgentError } from '../../core/errors.ts';
import { K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import { CONTROL_PLANE_LABEL } from '../../core/labels.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { NodeList } from '../../protocol/kubectl.ts';
import { apiAddress, readKubernetesJson } from '../k3s/kubectl.ts';
import { installedK3sVersion } from '../k3s/program.ts';

export interface ClusterInfo {
  readonly servers: readonly string[];
  readonly k3s_version: string | null;
  readonly nodes: readonly {
    readonly name: string;
    readonly ready: boolean;
    readonly role: 'server' | 'worker';
    readonly address: string | null;
    readonly version: string;
    readonly architecture: string;
  }[];
}

/** The cluster as its API describes it. @throws AgentError NOT_A_SERVER, KUBERNETES_API */
export async function readClusterInfo(deps: {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}): Promise<ClusterInfo> {
  if ((await deps.files.stat(K3S_SERVER_CA_FILE)) === undefined) {
    throw new AgentError('NOT_A_SERVER', 'This machine is not a server of a cluster', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  const list = NodeList.parse(await readKubernetesJson(deps, ['get', 'nodes']));
  const nodes = list.items.map(({ metadata, status }) => ({
    name: metadata.name,
    ready: status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
    role:
      metadata.labels[CONTROL_PLANE_LABEL] === 'true' ? ('server' as const) : ('worker' as const),
    address: status.addresses.find(({ type }) => type === 'InternalIP')?.address ?? null,
    version: status.nodeInfo.kubeletVersion,
    architecture: status.nodeInfo.architecture,
  }));
  return {
    servers: nodes.flatMap(({ role, address }) =>
      role === 'server' && address !== null ? [apiAddress(address)] : [],
    ),
    k3s_version: (await installedK3sVersion(deps)) ?? null,
    nodes,
  };
}
