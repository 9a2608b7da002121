import { DeleteData, DeletePayload, DeleteTargets } from '../../protocol/commands.ts';
import { type CommandContext, commandHandler } from '../handler.ts';

const TIMEOUT_MS = 120_000;

/**
 * delete: removes the Deployment and the Service of a name. Which objects those are (their UIDs)
 * is noted before the first effect: a rerun after a crash never removes what was made since.
 */
export const deleteCommand = commandHandler({
  type: 'delete',
  payload: DeletePayload,
  data: DeleteData,
  namespace: (payload) => payload.namespace,
  priority: 'normal',
  lane: (payload) => `ns/${payload.namespace}`,
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const targets =
      DeleteTargets.safeParse(context.checkpoint).data ?? (await findTargets(payload, context));
    await context.setCheckpoint(targets);
    for (const target of targets) {
      await context.kubernetes.remove(target.path, target.uid, context.signal);
    }
    const deleted = targets.map((target) => target.label);
    const names = deleted.length === 0 ? 'nothing was there' : deleted.join(', ');
    return { output: `${payload.namespace}: deleted ${names}\n`, data: { deleted } };
  },
});

async function findTargets(
  payload: DeletePayload,
  context: CommandContext,
): Promise<DeleteTargets> {
  const { namespace, name } = payload;
  const candidates = [
    { kind: 'Deployment', path: `/apis/apps/v1/namespaces/${namespace}/deployments/${name}` },
    { kind: 'Service', path: `/api/v1/namespaces/${namespace}/services/${name}` },
  ];
  const targets: DeleteTargets = [];
  for (const { kind, path } of candidates) {
    const object = await context.kubernetes.find(path, context.signal);
    if (object?.metadata?.uid !== undefined) {
      targets.push({ label: `${kind}/${name}`, path, uid: object.metadata.uid });
    }
  }
  return targets;
}
