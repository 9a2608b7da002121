/**
 * Whether a daemon that does not answer hangs, or only has not got so far: a slow machine, a busy one, a disk that is
 * waited for. Only time counts in which it could have worked and did not, or has worked for longer than any start takes.
 */
import type { Clock, Exec, Files } from '../../../core/ports.ts';
import { unitProperties } from '../../engine/systemctl.ts';
import { type ProcessorTimes, readProcessorTimes } from '../../facts/processor-times.ts';

/** A start takes under 1 s; of this it has used nothing. */
const IDLE_SILENCE_MS = 8_000;
/** A start takes 0.5 s of a processor; the slowest machine is ten times slower. */
const BUSY_SILENCE_MS = 20_000;
/** It counts as working when it uses so much of a processor. */
const WORKING_SHARE = 0.25;
/** Processors that must have been free, for it to have been able to work. */
const FREE_PROCESSORS = 0.5;
/** Processors that may wait for a disk at most. */
const WAITING_PROCESSORS = 0.5;

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
}

/**
 * To be asked again and again while the daemon is silent.
 * @returns that it hangs, in words; undefined as long as that is not known
 */
export type SilenceWatch = () => Promise<string | undefined>;

export function silenceWatch(deps: Deps, unit: string): SilenceWatch {
  let before: Sample | undefined;
  let idleMs = 0;
  let workedMs = 0;
  return async () => {
    const now = await sample(deps, unit);
    if (before !== undefined) {
      const usedMs = Math.max(0, now.usedMs - before.usedMs);
      workedMs += usedMs;
      idleMs += couldHaveWorked(before, now, usedMs) ? now.at - before.at : 0;
    }
    before = now;
    if (idleMs >= IDLE_SILENCE_MS) {
      return `it neither answers nor works, and had ${IDLE_SILENCE_MS / 1_000} s for it`;
    }
    return workedMs >= BUSY_SILENCE_MS
      ? `it does not answer, and has used a processor for ${BUSY_SILENCE_MS / 1_000} s`
      : undefined;
  };
}

interface Sample {
  /** Monotonic ms. */
  readonly at: number;
  /** Time of processors that the unit has used, ms. */
  readonly usedMs: number;
  /** Undefined where the kernel does not tell. */
  readonly processors: ProcessorTimes | undefined;
}

async function sample({ clock, exec, files }: Deps, unit: string): Promise<Sample> {
  const properties = await unitProperties({ exec }, unit, ['CPUUsageNSec']);
  const used = Number(properties['CPUUsageNSec']);
  return {
    at: clock.monotonic(),
    // Where systemd does not count, it has a word or the largest number there.
    usedMs: Number.isSafeInteger(used) ? used / 1e6 : 0,
    processors: await readProcessorTimes({ files }),
  };
}

function couldHaveWorked(before: Sample, now: Sample, usedMs: number): boolean {
  const [was, is] = [before.processors, now.processors];
  if (was === undefined || is === undefined || is.total <= was.total) {
    return false;
  }
  const processors = (ticks: number) => (ticks / (is.total - was.total)) * is.count;
  return (
    usedMs < (now.at - before.at) * WORKING_SHARE &&
    processors(is.idle - was.idle) >= FREE_PROCESSORS &&
    processors(is.waiting - was.waiting) <= WAITING_PROCESSORS
  );
}
