/** `snapshot rejoin`: a further server takes the data of the server on which a snapshot was restored. */
import { AgentError } from '../../core/errors.ts';
import { K3S_ETCD_DIRECTORY, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Progress } from '../../core/ports.ts';
import { readK3sFiles } from '../../host/k3s/told.ts';
import type { MachineContext } from '../context.ts';
import { unusedAside } from './data-of-now.ts';
import { exchangeData, SERVER_UNIT } from './exchange.ts';
import { withSnapshotLock } from './lock.ts';
import { whoseHere } from './whose.ts';

export interface RejoinPlan {
  /** The server that it joins: `https://host:6443`. */
  readonly server: string;
  readonly node: string;
  /** Where what is here now is kept. */
  readonly kept_in: string;
  readonly steps: readonly string[];
}

/**
 * What a rejoin would do; changes nothing.
 * @throws AgentError NOT_A_SERVER; HOST_UNSUPPORTED on the server that the others have joined
 */
export async function planRejoin(context: MachineContext): Promise<RejoinPlan> {
  const server = (await readK3sFiles(context)).settings['server'];
  const hasEtcd = (await context.files.stat(K3S_ETCD_DIRECTORY)) !== undefined;
  // Without etcd's data a run before was killed. A worker has joined a server, too.
  const isServer = (await context.files.stat(k3sUnitFile('server'))) !== undefined;
  if (!hasEtcd && (!isServer || server === undefined)) {
    throw new AgentError('NOT_A_SERVER', 'This machine is not one of several servers', {
      hint: 'A worker finds the restored server by itself where its address is the same',
    });
  }
  if (server === undefined) {
    throw new AgentError('HOST_UNSUPPORTED', 'This server has joined no other one', {
      hint: 'Restore the snapshot here; or uninstall and join the restored server with a token of it',
    });
  }
  const kept_in = await unusedAside(context, 'before-rejoin');
  const { node } = await whoseHere(context);
  const steps = [
    `Stop ${SERVER_UNIT}; pods run on meanwhile`,
    `Move etcd's data that are here to ${kept_in}`,
    `Start ${SERVER_UNIT}, which joins ${String(server)} and takes the data from there`,
  ];
  return { server: String(server), node, kept_in, steps };
}

/** @throws AgentError K3S_NOT_READY, BUSY, TOOL_FAILED, FILE_ACCESS, INTERRUPTED; then it is as it was */
export async function rejoin(
  context: MachineContext,
  { node, kept_in }: RejoinPlan,
  update: Progress['update'],
): Promise<void> {
  const nothing = async () => undefined;
  const exchange = {
    node,
    places: [K3S_ETCD_DIRECTORY],
    keptIn: kept_in,
    put: nothing,
    tidy: nothing,
  };
  await withSnapshotLock(context, 'snapshot rejoin', () => exchangeData(context, exchange, update));
}
