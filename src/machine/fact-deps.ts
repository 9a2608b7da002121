import { BUILD } from '../core/version.ts';
import { type FactDeps, STEP_LIMIT_MS, type Subject } from '../host/facts/fact.ts';
import type { MachineContext } from './context.ts';
import { k3sVersionHere } from './k3s-version.ts';

/** What the facts of this machine are read with. */
export function factDeps(
  context: MachineContext,
  subject: Subject,
  stepLimitMs = STEP_LIMIT_MS,
): FactDeps {
  const k3sVersion = () => k3sVersionHere(context, subject.config);
  return { ...context, subject, k3sVersion, stepLimitMs, builtAt: BUILD.committedAt };
}
