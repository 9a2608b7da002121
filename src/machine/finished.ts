import { BUILD } from '../core/version.ts';
import { isOfOtherVersion } from '../host/agent/executable.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import {
  type InstallationState,
  installationState,
  stepState,
} from '../host/engine/step-journal.ts';
import { askDaemon } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';

/**
 * How far the installation came, as it is now. An agent that was started comes right by itself, after
 * `install` has given up: once it is ready, people use it.
 */
export async function stateNow(
  context: MachineContext,
  inventory: HostInventory,
): Promise<InstallationState> {
  const state = await installationState(context, inventory);
  // An agent that runs before that step is not the one that is being installed.
  const mayBeUsed = state === 'unfinished' && (await stepState(context, START)) !== undefined;
  return mayBeUsed && (await wasReady(context)) ? 'finished' : state;
}

/** Whether an agent of another version runs here: an upgrade may find it while it is not ready. */
export async function isUpgrade(context: MachineContext): Promise<boolean> {
  const isStarted = (await stepState(context, START)) === 'done';
  return isStarted && (await isOfOtherVersion(context, BUILD.version));
}

const START = 'start-agent';

async function wasReady(context: MachineContext): Promise<boolean> {
  if ((await context.files.stat(context.places.wasReadyFile)) !== undefined) {
    return true;
  }
  try {
    return (await askDaemon(context, 0)).ready;
  } catch {
    return false; // It does not run, or says nothing that can be read.
  }
}
