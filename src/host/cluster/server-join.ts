/**
 * Whether a cluster can take one more server. Each change of etcd's members is a risk: while a new one
 * has no data yet, more of the others must be well (docs/decisions/0032-more-servers.md).
 */
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import { etcdMembers, hasEtcd } from './etcd-members.ts';
import type { ClusterInfo } from './info.ts';

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
  readonly signal: AbortSignal;
}

/** Is told with the second server. */
export const TWO_SERVERS =
  'Two servers are no safer than one: the cluster stops when either of them does. Add a third soon.';

/**
 * Asks etcd on this server.
 * @throws AgentError SERVERS_NOT_READY where the data are in SQLite, or a server is not well
 */
export async function checkServersWell(deps: Deps, nodes: ClusterInfo['nodes']): Promise<void> {
  if (!(await hasEtcd(deps))) {
    throw new AgentError(
      'SERVERS_NOT_READY',
      'This server keeps the data of the cluster in SQLite, which no second server can share',
      {
        hint:
          'Move them to etcd first, for which k3s restarts once: sudo pipeops-agent install --ha. ' +
          'There is no way back to SQLite',
      },
    );
  }
  const members = await etcdMembers(deps);
  const joining = members.filter(({ votes, node }) => !votes || node === '');
  if (joining.length > 0) {
    const names = joining.map(({ node }) => node || 'one without a name yet').join(', ');
    throw new AgentError('SERVERS_NOT_READY', `A server is still joining: ${names}`, {
      hint: 'One at a time: wait until it is Ready (sudo k3s kubectl get nodes), then try again',
    });
  }
  const well = nodes.filter(({ role, ready }) => role === 'server' && ready);
  const ill = members.filter(({ node }) => !well.some(({ name }) => name === node));
  if (ill.length > 0) {
    throw serversIll(ill.map(({ node }) => node));
  }
}

/** @param names of servers that are not Ready */
export function serversIll(names: readonly string[]): AgentError {
  return new AgentError('SERVERS_NOT_READY', `These servers are not well: ${names.join(', ')}`, {
    hint:
      'One more could end the cluster now. Bring them back; of one that is lost, on another server: ' +
      'sudo k3s kubectl delete node NAME',
  });
}

export function anotherJoins(): AgentError {
  return new AgentError(
    'SERVERS_NOT_READY',
    'There is a token of a server already, and servers join one at a time',
    {
      hint:
        'Wait until that server has joined or the token has ended; or end it: ' +
        'sudo pipeops-agent token list, then token delete ID',
    },
  );
}
