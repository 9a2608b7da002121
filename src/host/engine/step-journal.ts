/** How far an installation came: a note for each step, and one for the whole. */
import type { Places } from '../../core/places.ts';
import type { Clock, Files } from '../../core/ports.ts';
import { StepJournal, StepNote } from '../../protocol/files/host-state.ts';
import type { HostInventory } from './inventory.ts';

/** The note of the whole: `begun` on a machine where nothing of ours was, `done` once it was usable, and for ever. */
const INSTALLATION = 'installation';

interface FileDeps {
  readonly files: Files;
  readonly places: Places;
}

interface Deps extends FileDeps {
  readonly clock: Clock;
}

/** What earlier runs have noted, of whatever version; nothing where that cannot be read. */
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
  // Steps of other versions stay.
  const journal: StepJournal = { ...(await readStepJournal(deps)), [id]: noted };
  await deps.files.claimDirectory(deps.places.hostStateDirectory, { mode: 0o700 });
  await deps.files.writeAtomic(deps.places.stepsFile, `${JSON.stringify(journal, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** `finished`: it came to its end once, whatever happened since. */
export type InstallationState = 'none' | 'unfinished' | 'finished';

/** Where nobody can know any more, it is `finished`: nothing is taken back by mistake. */
export async function installationState(
  deps: FileDeps,
  inventory: HostInventory,
): Promise<InstallationState> {
  const journal = await readStepJournal(deps);
  const whole = noteOfAll(journal);
  if (whole !== undefined) {
    return whole === 'done' ? 'finished' : 'unfinished';
  }
  // Of a version that took no note of the whole: before this step it cannot have finished.
  const isBefore =
    journal['start-agent'] === undefined && !inventory.has('unit', deps.places.unitFile);
  if (isEmpty(inventory) && isBefore) {
    // Killed before the first note, or after all was taken away but the list.
    return (await deps.files.stat(deps.places.hostStateDirectory)) === undefined
      ? 'none'
      : 'unfinished';
  }
  return isBefore && Object.keys(journal).length > 0 ? 'unfinished' : 'finished';
}

/** How far this step came in the last run that had to do it. */
export async function stepState(
  deps: FileDeps,
  id: string,
): Promise<StepNote['state'] | undefined> {
  return stateOf(await readStepJournal(deps), id);
}

/** Before the first change. Only on a machine where nothing of ours is it can be taken back later. */
export async function beginInstallation(deps: Deps, inventory: HostInventory): Promise<void> {
  const isNoted = noteOfAll(await readStepJournal(deps)) !== undefined;
  if (isEmpty(inventory) && !isNoted && (await installationState(deps, inventory)) !== 'finished') {
    await noteStep(deps, INSTALLATION, 'begun');
  }
}

/** After the last change, or once the machine is used: from then on nothing is taken back. */
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
