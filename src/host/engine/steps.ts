import { AgentError } from '../../core/errors.ts';
import { HOST_STATE_DIRECTORY, STEPS_FILE } from '../../core/places.ts';
import type { Clock, Files, StartProgress } from '../../core/ports.ts';
import { StepJournal, type StepNote } from '../../protocol/files/host-state.ts';

/** One change of the machine. All three may be called any number of times. */
export interface Step {
  readonly id: string;
  /** What is being done, for a person: "Install k3s". */
  readonly title: string;
  /** What it will touch, for `--dry-run`. */
  readonly touches: readonly string[];
  /** Whether all of it is in place already. Changes nothing. */
  isDone(): Promise<boolean>;
  /** @param update tells what is going on right now */
  apply(update: (text: string) => void): Promise<void>;
}

interface StepDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly progress: StartProgress;
}

export interface PlannedStep {
  readonly id: string;
  readonly title: string;
  readonly touches: readonly string[];
  readonly needed: boolean;
}

/** What would be done, without doing it. */
export async function planSteps(steps: readonly Step[]): Promise<readonly PlannedStep[]> {
  const plan: PlannedStep[] = [];
  for (const { id, title, touches, isDone } of steps) {
    plan.push({ id, title, touches, needed: !(await isDone()) });
  }
  return plan;
}

export interface FinishedStep {
  readonly id: string;
  /** False when all was in place already. */
  readonly changed: boolean;
  readonly seconds: number;
}

/**
 * Runs the steps that are not done yet, in order, and checks each afterwards. How far it came is
 * journalled; a second run goes on where the first ended.
 * @throws what a step throws; INTERNAL when a step does not hold what it promises
 */
export async function runSteps(
  deps: StepDeps,
  steps: readonly Step[],
  signal: AbortSignal,
): Promise<readonly FinishedStep[]> {
  const finished: FinishedStep[] = [];
  for (const step of steps) {
    const startedAt = deps.clock.monotonic();
    const seconds = () => Math.round(deps.clock.monotonic() - startedAt) / 1_000;
    if (signal.aborted) {
      throw new AgentError('INTERRUPTED', `Interrupted before: ${step.title}`, {
        hint: 'Run the same command again: it goes on where it ended',
      });
    }
    if (await step.isDone()) {
      finished.push({ id: step.id, changed: false, seconds: seconds() });
      continue;
    }
    const progress = await deps.progress(step.title);
    try {
      await note(deps, step.id, 'begun');
      await step.apply(progress.update);
      if (!(await step.isDone())) {
        throw new AgentError('INTERNAL', `"${step.title}" was done but is not in place`);
      }
      await note(deps, step.id, 'done');
      progress.done();
      finished.push({ id: step.id, changed: true, seconds: seconds() });
    } catch (thrown) {
      progress.fail();
      throw thrown;
    }
  }
  return finished;
}

async function note(deps: StepDeps, id: string, state: StepNote['state']): Promise<void> {
  const noted: StepNote = { state, at: deps.clock.now().toISOString() };
  // Steps of other versions stay.
  const journal: StepJournal = { ...(await readStepJournal(deps.files)), [id]: noted };
  await deps.files.claimDirectory(HOST_STATE_DIRECTORY, { mode: 0o700 });
  await deps.files.writeAtomic(STEPS_FILE, `${JSON.stringify(journal, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** What earlier runs have noted, of whatever version; nothing where that cannot be read. */
export async function readStepJournal(files: Files): Promise<StepJournal> {
  const text = await files.readText(STEPS_FILE);
  try {
    return StepJournal.safeParse(JSON.parse(text ?? '{}')).data ?? {};
  } catch {
    return {}; // Each step can tell by itself whether it is done.
  }
}
