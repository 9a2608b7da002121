import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Files, StartProgress } from '../../core/ports.ts';
import { interrupted } from './interrupted.ts';
import type { Change, Resource } from './resource.ts';
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
}

/** What would be done, without doing it. */
export async function planResources(
  resources: readonly Resource[],
): Promise<readonly PlannedStep[]> {
  const plan: PlannedStep[] = [];
  for (const resource of resources.filter(({ isWanted }) => isWanted)) {
    const { id, title, touches } = resource;
    const needed = !(await resource.isDone());
    plan.push({ id, title, touches, needed, changes: await resource.changes() });
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
  const report = async ({ id, title }: Resource, state: StepReport['state'], over: number) =>
    await deps.report?.({ id, title, state, over, of: wanted.length });
  for (const [index, resource] of wanted.entries()) {
    const startedAt = deps.clock.monotonic();
    const seconds = () => Math.round(deps.clock.monotonic() - startedAt) / 1_000;
    if (signal.aborted) {
      throw interrupted(`before: ${resource.title}`);
    }
    if (await resource.isDone()) {
      finished.push({ id: resource.id, changed: false, seconds: seconds() });
      await report(resource, 'kept', index + 1);
      continue;
    }
    await report(resource, 'begun', index);
    try {
      await applyOne(deps, resource);
    } catch (thrown) {
      await report(resource, 'failed', index);
      throw thrown;
    }
    await report(resource, 'done', index + 1);
    finished.push({ id: resource.id, changed: true, seconds: seconds() });
  }
  return finished;
}

async function applyOne(deps: Deps, resource: Resource): Promise<void> {
  const progress = await deps.progress(resource.title);
  try {
    await noteStep(deps, resource.id, 'begun');
    await resource.apply(progress.update);
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
