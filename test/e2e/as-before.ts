import { expect } from 'bun:test';
import type { Machine } from '../vm/machine.ts';
import { compareStates, type MachineState, USER_BACKUPS } from '../vm/machine-state.ts';
import { waitUntil } from '../vm/wait-until.ts';

const PROCESSES_TIMEOUT_MS = 90_000;

/** Of a machine from which all was removed, once the last processes have ended. */
export async function expectAsBefore(machine: Machine, before: MachineState): Promise<void> {
  await waitUntil('its processes have ended', PROCESSES_TIMEOUT_MS, async () => {
    const { processes } = await machine.snapshotState();
    return processes.length <= before.processes.length;
  });
  expect(compareStates(before, await machine.snapshotState(), [USER_BACKUPS])).toEqual([]);
}
