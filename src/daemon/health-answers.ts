/** Health as the local API and heartbeats tell it. */
import type { TellableHealth } from '../control-plane/session/ports.ts';
import type { Episode } from '../health/history.ts';
import type { ShownProblem } from '../health/state.ts';
import type { Health, HealthState } from '../health/tracker.ts';
import type { Severity } from '../health/warnable.ts';
import type { DetailedHealth, HealthAnswer, ReadyAnswer, Reason } from '../protocol/local-api.ts';
import type { HealthChange } from '../protocol/local-realtime.ts';

/** @param standby what a server does that has not the session */
export function readyAnswer(state: HealthState, standby: string | undefined): ReadyAnswer {
  const answer = { ready: state.ready, reasons: reasonsOf(state, 'blocks') };
  return standby === undefined ? answer : { ...answer, standby };
}

export function reasonsAndWarnings(
  state: HealthState,
): Pick<DetailedHealth, 'reasons' | 'warnings'> {
  return { reasons: reasonsOf(state, 'blocks'), warnings: reasonsOf(state, 'warns') };
}

export async function healthAnswer(health: Health, signal: AbortSignal): Promise<HealthAnswer> {
  const state = await health.look(signal);
  return { ...healthChange(health, state), history: health.episodes().map(told) };
}

/** What the newest look has found; undefined before the first. */
export function lastHealth(health: Pick<Health, 'last' | 'times'>): HealthChange | undefined {
  const state = health.last();
  return state && healthChange(health, state);
}

function healthChange(
  health: Pick<Health, 'times'>,
  { ready, problems }: HealthState,
): HealthChange {
  return {
    ready,
    problems: problems.map((problem) => ({
      warnable: problem.warnable,
      severity: problem.severity,
      about: problem.about ?? null,
      ...reasonOf(problem),
      since: problem.since.toISOString(),
      times: health.times(problem.warnable),
    })),
  };
}

/** What the newest look has found. */
export function tellableHealth(health: Pick<Health, 'last'>): TellableHealth {
  const state = health.last();
  if (state === undefined) {
    return {};
  }
  const ids = new Set(state.problems.map(({ warnable }) => warnable));
  return { health: state.ready ? 'ready' : 'not ready', problems: [...ids].join() };
}

function reasonsOf({ problems }: HealthState, wanted: Severity): Reason[] {
  return problems.filter(({ severity }) => severity === wanted).map(reasonOf);
}

function reasonOf({ code, message, hint }: ShownProblem): Reason {
  return hint === undefined ? { code, message } : { code, message, hint };
}

function told({ warnable, about, code, message, since, until }: Episode) {
  return {
    ...{ warnable, about: about ?? null, code, message },
    since: since.toISOString(),
    until: until?.toISOString() ?? null,
  };
}
