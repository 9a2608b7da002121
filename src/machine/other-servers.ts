import { AgentError } from '../core/errors.ts';
import { askDaemon } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';

/** Names of the other servers of the cluster; none where the agent cannot be asked. */
export async function otherServers(context: MachineContext): Promise<readonly string[]> {
  try {
    const { nodes } = await askDaemon(context, 0);
    const others = nodes?.list.filter(({ role, self }) => role === 'server' && !self) ?? [];
    return others.map(({ name }) => name);
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return []; // Only for a hint.
    }
    throw thrown;
  }
}
