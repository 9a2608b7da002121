import { AgentError } from '../../core/errors.ts';
import { etcdMembers, hasEtcd } from '../../host/cluster/etcd-members.ts';
import { readClusterInfo } from '../../host/cluster/info.ts';
import { illMembers } from '../../host/cluster/server-leave.ts';
import type { MachineContext } from '../context.ts';
import type { NodeHere } from './here.ts';

/**
 * While this server restarts the others are the cluster: all of them must be well, and hold the data. Alone, or on a
 * worker, there is nothing to ask.
 * @throws AgentError SERVERS_NOT_READY, KUBERNETES_API
 */
export async function requireServersWell(
  context: MachineContext,
  { role, node }: NodeHere,
): Promise<void> {
  if (role === 'agent' || !(await hasEtcd(context))) {
    return;
  }
  const others = (await etcdMembers(context)).filter((member) => member.node !== node);
  const ill = illMembers(others, (await readClusterInfo(context)).nodes);
  if (ill.length > 0) {
    throw new AgentError('SERVERS_NOT_READY', `These servers are not well: ${ill.join(', ')}`, {
      hint: 'While this one restarts they are the cluster. Bring them back, then run the same command again',
    });
  }
}
