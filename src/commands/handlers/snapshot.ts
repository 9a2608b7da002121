import { SnapshotPayload } from '../../protocol/commands/machine.ts';
import { MadeSnapshot } from '../../protocol/helper.ts';
import { commandHandler } from '../engine/handler.ts';

const TIMEOUT_MS = 900_000;

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
    const answer = await context.askHelper(
      { verb: 'snapshot', command_id: context.commandId },
      { signal: context.signal, progress: (text) => context.progress(text) },
    );
    const data = MadeSnapshot.parse(answer);
    return { output: `The snapshot ${data.name} is on ${data.node}: ${data.bytes} bytes`, data };
  },
});
