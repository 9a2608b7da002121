/** How far a subcommand is, for `--progress-file`, where its steps are no resources or come in parts. */
import type { StepReport } from '../host/engine/apply.ts';

export type Report = (report: StepReport) => Promise<void>;

/** Runs one step, and tells how it goes. */
export type RunStep = <T>(id: string, title: string, work: () => Promise<T>) => Promise<T>;

/** @param of how many steps there are in all */
export function reportedSteps(report: Report, of: number): RunStep {
  let over = 0;
  return async (id, title, work) => {
    await report({ id, title, state: 'begun', over, of });
    try {
      const result = await work();
      over += 1;
      await report({ id, title, state: 'done', over, of });
      return result;
    } catch (thrown) {
      await report({ id, title, state: 'failed', over, of });
      throw thrown;
    }
  };
}

/** A part of the whole: so that two lists of steps, one after the other, make one percentage. */
export function part(report: Report | undefined, from: number, to: number): Report {
  return async (step) =>
    await report?.({ ...step, over: from + ((to - from) * step.over) / step.of, of: 1 });
}
