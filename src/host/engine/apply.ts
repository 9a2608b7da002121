import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Files, StartProgress } from '../../core/ports.ts';
import { type Spent, secondsOf } from '../../core/spent.ts';
import { interrupted } from './interrupted.ts';
import type { Change, Command, Resource, TellPart } from './resource.ts';
import { noteStep } from './step-journal.ts';

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly places: Places;
  readonly progress: StartProgress;
  /** Hears of each step beside the person, in order. */
  readonly report?: ((report: StepReport) => Promise<void>) | undefined;
}

export interface StepReport {
  readonly id: string;
  readonly title: string;
  /** `kept`: all was in place already. */
  readonly state: 'begun' | 'done' | 'kept' | 'failed';
  /** How long it took, if it is over. */
  readonly seconds?: number | undefined;
  /** Steps that are over, of so many. */
  readonly over: number;
  readonly of: number;
}

export interface PlannedStep {
  readonly id: string;
  readonly title: string;
  readonly touches: readonly string[];
  readonly needed: boolean;
  readonly changes: readonly Change[];
  /** What would be run, in order; nothing where all is in place. */
  readonly commands: readonly Command[];
}

/** What would be done, without doing it. */
export async function planResources(
  resources: readonly Resource[],
): Promise<readonly PlannedStep[]> {
  const plan: PlannedStep[] = [];
  for (const resource of resources.filter(({ isWanted }) => isWanted)) {
    const { id, title, touches } = resource;
    const needed = !(await resource.isDone());
    const commands = needed ? ((await resource.commands?.()) ?? []) : [];
    plan.push({ id, title, touches, needed, changes: await resource.changes(), commands });
  }
  return plan;
}

export interface FinishedStep {
  readonly id: string;
  readonly title: string;
  /** False when all was in place already. */
  readonly changed: boolean;
  readonly seconds: number;
  /** What of it was waited for. */
  readonly parts: readonly Spent[];
}

/**
 * Makes the resources that are not in place yet, in order, and checks each one afterwards. Each step is
 * noted in the journal, so a second run continues where the first one ended.
 * @throws what a resource throws; INTERNAL when a resource is not in place after it was made
 */
export async function applyResources(
  deps: Deps,
  resources: readonly Resource[],
  signal: AbortSignal,
): Promise<readonly FinishedStep[]> {
  const finished: FinishedStep[] = [];
  const wanted = resources.filter(({ isWanted }) => isWanted);
  for (const [index, resource] of wanted.entries()) {
    const { id, title } = resource;
    const startedAt = deps.clock.monotonic();
    const elapsed = () => secondsOf(deps.clock.monotonic() - startedAt);
    const report = async (state: StepReport['state'], over: number, seconds?: number) =>
      await deps.report?.({ id, title, state, seconds, over, of: wanted.length });
    const finish = async (changed: boolean, parts: readonly Spent[]) => {
      const seconds = elapsed();
      finished.push({ id, title, changed, seconds, parts });
      await report(changed ? 'done' : 'kept', index + 1, seconds);
    };
    if (signal.aborted) {
      throw interrupted(`before: ${title}`);
    }
    if (await resource.isDone()) {
      await finish(false, []);
      continue;
    }
    await report('begun', index);
    const parts: Spent[] = [];
    try {
      await applyOne(deps, resource, (what, ms) =>
        parts.push({ title: what, seconds: secondsOf(ms) }),
      );
    } catch (thrown) {
      await report('failed', index, elapsed());
      throw thrown;
    }
    await finish(true, parts);
  }
  return finished;
}

async function applyOne(deps: Deps, resource: Resource, tellPart: TellPart): Promise<void> {
  const progress = await deps.progress(resource.title);
  try {
    await noteStep(deps, resource.id, 'begun');
    await resource.apply(progress.update, tellPart);
    const isInPlace = await (resource.verify?.() ?? resource.isDone());
    if (!isInPlace) {
      throw new AgentError('INTERNAL', `"${resource.title}" was done but is not in place`);
    }
    await noteStep(deps, resource.id, 'done');
    progress.done();
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
