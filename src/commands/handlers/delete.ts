import { removeAndWait } from '../../kubernetes/objects/removal.ts';
import { DeleteData, DeletePayload, DeleteTargets } from '../../protocol/commands/workload.ts';
import { applicationPaths, isManaged } from '../applications/managed-objects.ts';
import { workloadCommand } from '../applications/of-one-deployment.ts';
import { stopped } from '../engine/cancelled.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import type { CommandContext } from '../engine/handler.ts';

const TIMEOUT_MS = 180_000;

/**
 * delete: removes the Deployment of a name, and the Ingress and Service that deploy made for it,
 * and waits until they are gone. The UIDs of these objects are noted before the first effect, so a
 * rerun after a crash never removes objects made since.
 */
export const deleteCommand = workloadCommand({
  type: 'delete',
  payload: DeletePayload,
  data: DeleteData,
  timeoutMs: () => TIMEOUT_MS,
  run: async (payload, context) => {
    const targets = readCheckpoint(DeleteTargets, context) ?? (await findTargets(payload, context));
    await context.setCheckpoint(targets);
    const deleted: string[] = [];
    for (const target of targets) {
      await remove(target, deleted, context);
      deleted.push(target.label);
      context.progress(`${payload.namespace}: deleted ${target.label}`, { deleted });
    }
    const { namespace, name } = payload;
    const output =
      deleted.length === 0
        ? `${namespace}: there is no "${name}", nothing was deleted\n`
        : `${namespace}: deleted ${deleted.join(', ')}\n`;
    return { output, data: { deleted } };
  },
});

async function remove(
  target: DeleteTargets[number],
  deleted: readonly string[],
  context: CommandContext,
): Promise<void> {
  const deps = { clock: context.clock, client: context.kubernetes };
  try {
    await removeAndWait(deps, target.path, target.uid, context.signal);
  } catch (thrown) {
    const gone = deleted.length === 0 ? 'nothing is gone yet' : `gone are ${deleted.join(', ')}`;
    const howFar = `Stopped at ${target.label}; ${gone}`;
    throw stopped(context, thrown, howFar, { deleted: [...deleted] });
  }
}

async function findTargets(
  payload: DeletePayload,
  { kubernetes, signal }: CommandContext,
): Promise<DeleteTargets> {
  const paths = applicationPaths(payload);
  // Objects that lead to the pods go first.
  const candidates = [
    { kind: 'Ingress', path: paths.ingress, onlyManaged: true },
    { kind: 'Service', path: paths.service, onlyManaged: true },
    { kind: 'Deployment', path: paths.deployment, onlyManaged: false },
  ];
  const targets: DeleteTargets = [];
  for (const { kind, path, onlyManaged } of candidates) {
    const object = await kubernetes.find(path, signal);
    if (object?.metadata?.uid !== undefined && (isManaged(object) || !onlyManaged)) {
      targets.push({ label: `${kind}/${payload.name}`, path, uid: object.metadata.uid });
    }
  }
  return targets;
}
