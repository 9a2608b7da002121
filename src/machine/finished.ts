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
 * How far the installation has come by now. An agent that was started may become ready after `install`
 * has given up. From then on people use it, and the installation counts as finished.
 */
export async function stateNow(
  context: MachineContext,
  inventory: HostInventory,
): Promise<InstallationState> {
  const state = await installationState(context, inventory);
  // An agent that runs before that step is not the one that was being installed.
  const mayBeUsed = state === 'unfinished' && (await stepState(context, START)) !== undefined;
  return mayBeUsed && (await wasReady(context)) ? 'finished' : state;
}

/** Whether an agent of another version is set up here, even if it is not ready at the moment. */
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
    return false; // It does not run, or gives no answer that can be read.
  }
}
