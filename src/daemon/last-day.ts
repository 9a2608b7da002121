/** How busy the machine was over the last day, for the charts of the page. It is lost with a restart. */
import { msUntilBeat } from '../core/beat.ts';
import type { Clock, Files } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { type ProcessorTimes, readProcessorTimes } from '../host/facts/processor-times.ts';
import type { DayAnswer } from '../protocol/local-status.ts';

/** Between two samples. */
export const STEP_SECONDS = 60;
/** A day of them: 34 KiB. */
export const SAMPLES_MAX = 1_440;

/** What a text of /proc is read up to, bytes; /proc/stat has a line for each processor and interrupt. */
const PROC_LIMIT_BYTES = 1024 * 1024;

export interface LastDay {
  /** Counts a request through the agent that has ended by itself. */
  readonly measured: (durationMs: number) => void;
  readonly answer: () => DayAnswer;
  readonly service: Service;
}

/** One row for each value of an answer; a gap is not a number. */
type Field = Exclude<keyof DayAnswer, 'step_seconds' | 'times'>;
type Sample = Readonly<Record<Field, number>>;

export function lastDay({
  clock,
  files,
}: {
  readonly clock: Clock;
  readonly files: Files;
}): LastDay {
  const times = new Float64Array(SAMPLES_MAX);
  const values: Readonly<Record<Field, Float32Array>> = {
    cpu_percent: new Float32Array(SAMPLES_MAX),
    memory_bytes: new Float32Array(SAMPLES_MAX),
    requests_per_second: new Float32Array(SAMPLES_MAX),
    latency_ms: new Float32Array(SAMPLES_MAX),
  };
  const fields = Object.keys(values) as Field[];
  const proc = readable(files);
  let taken = 0;
  let requests = { count: 0, ms: 0 };
  let before: Moment = { at: clock.monotonic(), processors: undefined };
  const sample = async () => {
    const processors = await readProcessorTimes({ files: proc });
    const at = clock.monotonic();
    const now: Sample = {
      cpu_percent: busyPercent(before.processors, processors),
      memory_bytes: memoryInUse((await proc.readText('/proc/meminfo')) ?? ''),
      requests_per_second: requests.count / ((at - before.at) / 1_000),
      latency_ms: requests.count === 0 ? Number.NaN : requests.ms / requests.count,
    };
    before = { at, processors };
    requests = { count: 0, ms: 0 };
    const place = taken % SAMPLES_MAX;
    times[place] = Math.round(clock.now().getTime() / 1_000);
    for (const field of fields) {
      values[field][place] = now[field];
    }
    taken += 1;
  };
  const run = async (signal: AbortSignal) => {
    before = { at: clock.monotonic(), processors: await readProcessorTimes({ files: proc }) };
    while (await clock.sleep(msUntilBeat(clock, STEP_SECONDS * 1_000), signal)) {
      await sample();
    }
  };
  const inOrder = (ring: Float32Array | Float64Array): number[] =>
    taken < SAMPLES_MAX
      ? [...ring.subarray(0, taken)]
      : [...ring.subarray(taken % SAMPLES_MAX), ...ring.subarray(0, taken % SAMPLES_MAX)];
  const withGaps = (field: Field) =>
    inOrder(values[field]).map((value) =>
      Number.isFinite(value) ? Number(value.toPrecision(4)) : null,
    );
  return {
    measured: (durationMs) => {
      requests.count += 1;
      requests.ms += durationMs;
    },
    answer: () => ({
      step_seconds: STEP_SECONDS,
      times: inOrder(times),
      cpu_percent: withGaps('cpu_percent'),
      memory_bytes: withGaps('memory_bytes'),
      requests_per_second: withGaps('requests_per_second'),
      latency_ms: withGaps('latency_ms'),
    }),
    service: { name: 'last-day', start: async (signal) => ({ done: run(signal) }) },
  };
}

interface Moment {
  /** Monotonic ms. */
  readonly at: number;
  readonly processors: ProcessorTimes | undefined;
}

/** What cannot be read is a gap in the chart. */
function readable(files: Files): Pick<Files, 'readText'> {
  return {
    readText: (path) => files.readText(path, PROC_LIMIT_BYTES).catch(() => undefined),
  };
}

function busyPercent(before: ProcessorTimes | undefined, now: ProcessorTimes | undefined): number {
  if (before === undefined || now === undefined) {
    return Number.NaN;
  }
  const busy = ({ total, idle, waiting }: ProcessorTimes) => total - idle - waiting;
  return (100 * (busy(now) - busy(before))) / (now.total - before.total);
}

/** What programs cannot have any more (proc_meminfo(5)). */
function memoryInUse(meminfo: string): number {
  const kibibytes = (name: RegExp) => Number(name.exec(meminfo)?.[1] ?? Number.NaN);
  return (kibibytes(/^MemTotal: +(\d+)/m) - kibibytes(/^MemAvailable: +(\d+)/m)) * 1_024;
}
