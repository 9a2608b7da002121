import { SnapshotPayload } from '../../protocol/commands/machine.ts';
import { MadeSnapshot } from '../../protocol/helper.ts';
import { commandHandler } from '../engine/handler.ts';
import { askHelperAndPerson } from '../engine/helper.ts';

/** A person may be asked. */
const TIMEOUT_MS = 3_600_000;

/**
 * snapshot: root's helper makes one of the cluster's data on this machine. Its name comes from the id of the
 * command, so a rerun after a crash is answered with what is there.
 */
export const snapshotCommand = commandHandler({
  type: 'snapshot',
  payload: SnapshotPayload,
  data: MadeSnapshot,
  priority: 'normal',
  lane: () => 'k3s',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (_payload, context) => {
    const request = { verb: 'snapshot' as const, command_id: context.commandId };
    const use = { type: 'snapshot', hostVerb: 'snapshot' } as const;
    const answer = await askHelperAndPerson(context, use, request);
    const data = MadeSnapshot.parse(answer);
    return { output: `The snapshot ${data.name} is on ${data.node}: ${data.bytes} bytes`, data };
  },
});
