/** The end of a server in its cluster: its name is free afterwards. */
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from './client.ts';
import type { LeaveOptions, LeavingNode } from './move-pods.ts';

/** k3s lets the Node go once its member is out, and deletes the node password a moment later. */
const NODE_OUT_MS = 60_000;
const LOOK_INTERVAL_MS = 1_000;
const SYSTEM_NAMESPACE = 'kube-system';

/**
 * Deletes the Node, and the node password, which k3s does as well: the name is free then.
 * @returns false where the cluster does not do it, with force
 */
export async function takeOut(
  context: MachineContext,
  { node, client }: LeavingNode,
  { force }: Pick<LeaveOptions, 'force'>,
): Promise<boolean> {
  const progress = await context.progress('Leave the cluster');
  const name = `${node}.node-password.k3s`;
  const paths = [
    pathOfNode(node),
    pathOfObject(KINDS.secret, { namespace: SYSTEM_NAMESPACE, name }),
  ];
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: NODE_OUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      const left = await Promise.all(paths.map((path) => removeObject(context, client, path)));
      return left.every((isLeft) => !isLeft) ? { found: true } : { soFar: 'it is listed still' };
    } catch (thrown) {
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      progress.update(thrown.message);
      return { soFar: thrown.message };
    }
  });
  if (end.kind === 'found') {
    progress.done('the node is out');
    return true;
  }
  progress.fail();
  if (end.kind === 'aborted') {
    throw interrupted('while the cluster was left');
  }
  if (force) {
    return false;
  }
  throw new AgentError('KUBERNETES_API', `The cluster still lists this node: ${end.soFar}`, {
    hint: 'Run the same command again: it goes on where it ended. To go without it: --force',
  });
}

/** @returns whether it was there: until a finalizer is done it stays */
async function removeObject(
  { signal }: MachineContext,
  client: KubernetesClient,
  path: string,
): Promise<boolean> {
  const found = await client.find(path, signal);
  const { uid, deletionTimestamp } = found?.metadata ?? {};
  if (uid !== undefined && deletionTimestamp === undefined) {
    await client.remove(path, uid, signal);
  }
  return found !== undefined;
}
