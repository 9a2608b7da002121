/**
 * Whether a cluster can do without this server. etcd needs most of its members, so all others must be well
 * before one goes (docs/decisions/0027-leave.md).
 */
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import { apiAddress } from '../k3s/kubectl.ts';
import { type EtcdMember, etcdMembers, hasEtcd } from './etcd-members.ts';
import type { ClusterInfo } from './info.ts';

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
  readonly signal: AbortSignal;
}

/**
 * Asks etcd on this server.
 * @param node the name of this server
 * @returns where the other servers answer
 * @throws AgentError CLUSTER_EXISTS on the only server; SERVERS_NOT_READY where another one is not well
 */
export async function serversWithout(
  deps: Deps,
  node: string,
  nodes: ClusterInfo['nodes'],
): Promise<readonly string[]> {
  const members = (await hasEtcd(deps)) ? await etcdMembers(deps) : [];
  const others = members.filter((member) => member.node !== node);
  if (others.length === 0) {
    throw new AgentError('CLUSTER_EXISTS', 'This machine is the only server of its cluster', {
      hint:
        'To end the cluster: sudo pipeops-agent uninstall, on its other nodes first. To move it to ' +
        'another machine: let that one join as a server, then leave (docs: several servers)',
    });
  }
  const joining = others.filter((member) => !member.votes || member.node === '');
  if (joining.length > 0) {
    const names = joining.map((member) => member.node || 'one without a name yet').join(', ');
    throw new AgentError('SERVERS_NOT_READY', `A server is still joining: ${names}`, {
      hint: 'Wait until it is Ready (sudo k3s kubectl get nodes), then try again',
    });
  }
  const well = nodes.filter(({ role, ready }) => role === 'server' && ready);
  const ill = others.filter((member) => !well.some(({ name }) => name === member.node));
  if (ill.length > 0) {
    const names = ill.map((member) => member.node).join(', ');
    throw new AgentError('SERVERS_NOT_READY', `These servers are not well: ${names}`, {
      hint:
        'Without this one the cluster would stop. Bring them back; of one that is lost for good, ' +
        'first: sudo k3s kubectl delete node NAME',
    });
  }
  return well.flatMap(({ name, address }) =>
    name === node || address === null ? [] : [apiAddress(address)],
  );
}

/** Members of etcd that do not hold the data yet, or whose node is not well, by the names of their nodes. */
export function illMembers(
  members: readonly EtcdMember[],
  nodes: ClusterInfo['nodes'],
): readonly string[] {
  const well = nodes.filter(({ role, ready }) => role === 'server' && ready);
  return members
    .filter((member) => !member.votes || !well.some(({ name }) => name === member.node))
    .map(({ node }) => node || 'one without a name yet');
}

/** What a person is to know of a cluster with so few servers; undefined where it bears a loss. */
export function fewServers(count: number): string | undefined {
  if (count > 2) {
    return undefined;
  }
  return count === 1
    ? 'One server is left: the cluster stops when it does.'
    : 'Two servers are left, which are no safer than one: the cluster stops when either of them ' +
        'does. Add a third soon.';
}
