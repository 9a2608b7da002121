/** A server, and a worker that leaves again and again. */
import { expect } from 'bun:test';
import type { Machine } from '../../vm/machine.ts';
import { compareStates, type MachineState, USER_BACKUPS } from '../../vm/machine-state.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import {
  bootTwo,
  bringProgram,
  installByOneLine,
  joinByToken,
  readyNodes,
  type Stand,
  TOKEN_FILE,
} from '../stand.ts';
import { AGENT, leaveAgain, ORPHANS } from './killed.ts';

const SETTLE_TIMEOUT_MS = 120_000;

export interface WorkerRig {
  readonly server: Machine;
  readonly worker: Machine;
  readonly before: MachineState;
}

export async function openWorkerRig(stand: Stand): Promise<WorkerRig> {
  const [server, worker] = await bootTwo(stand);
  await stand.equip(server);
  await bringProgram(worker, AGENT);
  const before = await worker.snapshotState();
  await installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--cluster-name', 'e2e']);
  return { server, worker, before };
}

/**
 * Joins, leaves as `kill` has it, and is gone without a trace after the next run: here, and in the cluster.
 * @returns what `kill` does
 */
export async function joinAndKillLeave<T>(
  stand: Stand,
  rig: WorkerRig,
  kill: (worker: Machine) => Promise<T>,
): Promise<T> {
  const { server, worker, before } = rig;
  await joinByToken(stand, server, worker);
  await waitUntil(
    'both are ready',
    SETTLE_TIMEOUT_MS,
    async () => (await readyNodes(server)) === 2,
  );
  const killed = await kill(worker);
  await leaveAgain(worker);
  const kubectl = async (...args: readonly string[]) =>
    (await server.exec(['k3s', 'kubectl', 'get', ...args, '-o', 'name'])).stdout;
  await waitUntil('its password is gone', SETTLE_TIMEOUT_MS, async () => {
    const secrets = await kubectl('secrets', '-n', 'kube-system');
    return !secrets.includes('worker.node-password.k3s');
  });
  const after = await worker.snapshotState();
  expect({
    ...{ killed, nodes: await kubectl('nodes') },
    differences: compareStates(before, after, [USER_BACKUPS, ORPHANS]),
  }).toEqual({ killed, nodes: 'node/server\n', differences: [] });
  return killed;
}
