/** How far an installation came: one note for each step, and one for the installation as a whole. */
import type { Places } from '../../core/places.ts';
import type { Clock, Files } from '../../core/ports.ts';
import { StepJournal, StepNote } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';

/** The note of the whole: `begun` where nothing of ours was before; `done` once it was usable, and then for ever. */
const INSTALLATION = 'installation';

interface FileDeps {
  readonly files: Files;
  readonly places: Places;
}

interface Deps extends FileDeps {
  readonly clock: Clock;
}

/** The notes of earlier runs, of any version. Empty if they cannot be read. */
export async function readStepJournal(deps: FileDeps): Promise<StepJournal> {
  try {
    const text = await deps.files.readText(deps.places.stepsFile);
    return StepJournal.safeParse(JSON.parse(text ?? '{}')).data ?? {};
  } catch {
    return {}; // Each step can tell by itself whether it is done.
  }
}

export async function noteStep(deps: Deps, id: string, state: StepNote['state']): Promise<void> {
  const noted: StepNote = { state, at: deps.clock.now().toISOString() };
  // Notes of other versions stay.
  const journal: StepJournal = { ...(await readStepJournal(deps)), [id]: noted };
  await deps.files.claimDirectory(deps.places.hostStateDirectory, { mode: 0o700 });
  await deps.files.writeAtomic(deps.places.stepsFile, `${JSON.stringify(journal, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** `finished`: it was finished at some time, whatever happened since. */
export type InstallationState = 'none' | 'unfinished' | 'finished';

/** If nobody can know any more, the answer is `finished`, so that nothing is taken back by mistake. */
export async function installationState(
  deps: FileDeps,
  inventory: HostInventory,
): Promise<InstallationState> {
  const journal = await readStepJournal(deps);
  const whole = noteOfAll(journal);
  if (whole !== undefined) {
    return whole === 'done' ? 'finished' : 'unfinished';
  }
  // An older version took no note of the whole. It cannot have finished before this step.
  const isBefore =
    journal['start-agent'] === undefined && !inventory.has('unit', deps.places.unitFile);
  if (isEmpty(inventory) && isBefore) {
    // Killed before the first note, or after everything but the list was removed.
    return (await deps.files.stat(deps.places.hostStateDirectory)) === undefined
      ? 'none'
      : 'unfinished';
  }
  return isBefore && Object.keys(journal).length > 0 ? 'unfinished' : 'finished';
}

/** How far a step came in the last run that had to do it. */
export async function stepState(
  deps: FileDeps,
  id: string,
): Promise<StepNote['state'] | undefined> {
  return stateOf(await readStepJournal(deps), id);
}

/**
 * To be called before the first change. An installation can be taken back later only if it began on a
 * machine that had nothing of ours.
 */
export async function beginInstallation(deps: Deps, inventory: HostInventory): Promise<void> {
  const isNoted = noteOfAll(await readStepJournal(deps)) !== undefined;
  if (isEmpty(inventory) && !isNoted && (await installationState(deps, inventory)) !== 'finished') {
    await noteStep(deps, INSTALLATION, 'begun');
  }
}

/** To be called after the last change, or once the machine is in use. From then on nothing is taken back. */
export async function finishInstallation(deps: Deps): Promise<void> {
  if (noteOfAll(await readStepJournal(deps)) !== 'done') {
    await noteStep(deps, INSTALLATION, 'done');
  }
}

function noteOfAll(journal: StepJournal): StepNote['state'] | undefined {
  return stateOf(journal, INSTALLATION);
}

function stateOf(journal: StepJournal, id: string): StepNote['state'] | undefined {
  return StepNote.safeParse(journal[id]).data?.state;
}

function isEmpty(inventory: HostInventory): boolean {
  return inventory.entries().length === 0 && inventory.unknown().length === 0;
}
