import { pollUntil } from '../core/waiting.ts';
import { clockRight } from '../host/checks/clock.ts';
import type { CheckResult } from '../host/checks/run.ts';
import { type FactDeps, factsOf } from '../host/facts/fact.ts';
import { timeSync } from '../host/facts/time-sync.ts';

/** A machine that has just started has an answer of its time server by then, or none. */
const WAIT_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 1_000;

export function isClockWrong(results: readonly CheckResult[]): boolean {
  return results.some(({ id, outcome }) => id === clockRight.id && outcome.state === 'found');
}

/**
 * Waits for NTP, where that is switched on and has not set the clock yet, as in the first minute of a machine.
 * @param tell hears what is waited for
 * @returns whether it has been set meanwhile
 */
export async function clockWasSet(deps: FactDeps, tell: (text: string) => void): Promise<boolean> {
  const readNow = () => factsOf(deps)(timeSync);
  const sync = await readNow();
  if (sync === undefined || !sync.isOn || sync.isSynchronized) {
    return false; // Nobody is about to set it.
  }
  tell('waiting for NTP to set the clock');
  const pace = { everyMs: LOOK_EVERY_MS, limitMs: WAIT_LIMIT_MS };
  const end = await pollUntil(deps.clock, pace, deps.signal, async () =>
    (await readNow())?.isSynchronized === true ? { found: true } : { soFar: false },
  );
  return end.kind === 'found';
}
