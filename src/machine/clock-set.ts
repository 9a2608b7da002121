import { expectedError } from '../core/errors.ts';
import { pollUntil } from '../core/waiting.ts';
import { clockRight } from '../host/checks/clock.ts';
import { clockNotPast } from '../host/checks/clock-past.ts';
import type { CheckResult } from '../host/checks/run.ts';
import { readContainer } from '../host/facts/container.ts';
import { type FactDeps, factsOf } from '../host/facts/fact.ts';
import { readTimeSync, timeSync } from '../host/facts/time-sync.ts';

/** A machine that has just started has an answer of its time server by then, or none. */
const WAIT_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 1_000;
/** The same at each start of a machine; without a network it is lost for every one of them. */
const BOOT_LIMIT_MS = 30_000;
const JUST_STARTED_SECONDS = 300;

export function isClockWrong(results: readonly CheckResult[]): boolean {
  const wrong = results.filter(({ outcome }) => outcome.state === 'found');
  return wrong.some(({ id }) => id === clockRight.id || id === clockNotPast.id);
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

/**
 * Before the daemon starts: where a machine has just started and NTP is about to set its clock, or the clock is
 * plainly in the past, waits for that, but not for ever. An order after time-sync.target would have no end where a
 * unit of somebody else waits for a time server that is not there (systemd-time-wait-sync.service(8)).
 * @param notBefore a time that has certainly been; undefined where none is known
 */
export async function awaitClockAtBoot(
  { clock, exec, files, signal }: Pick<FactDeps, 'clock' | 'exec' | 'files' | 'signal'>,
  notBefore: Date | undefined,
): Promise<void> {
  const upSeconds = Number(
    ((await files.readText('/proc/uptime')) ?? '').split(' ')[0] || Number.NaN,
  );
  // A container has the clock of its host.
  if (!(upSeconds < JUST_STARTED_SECONDS) || (await readContainer(files)) !== undefined) {
    return;
  }
  const pace = { everyMs: LOOK_EVERY_MS, limitMs: BOOT_LIMIT_MS };
  await pollUntil(clock, pace, signal, async () => {
    const isPast = notBefore !== undefined && clock.now() < notBefore;
    const sync = await readTimeSync({ exec, signal }).catch(expectedError);
    const isPending = 'isOn' in sync && sync.isOn && !sync.isSynchronized;
    return isPast || isPending ? { soFar: undefined } : { found: true };
  });
}
