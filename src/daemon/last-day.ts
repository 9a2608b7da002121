/** How busy the machine was over the last day, for the charts of the page. It is lost with a restart. */
import type { Clock, Files } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
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
  let taken = 0;
  let requests = { count: 0, ms: 0 };
  let before = { at: clock.monotonic(), processor: NO_PROCESSOR };
  const sample = async () => {
    const processor = processorTimes(await read(files, '/proc/stat'));
    const at = clock.monotonic();
    const now: Sample = {
      cpu_percent: busyPercent(before.processor, processor),
      memory_bytes: memoryInUse(await read(files, '/proc/meminfo')),
      requests_per_second: requests.count / ((at - before.at) / 1_000),
      latency_ms: requests.count === 0 ? Number.NaN : requests.ms / requests.count,
    };
    before = { at, processor };
    requests = { count: 0, ms: 0 };
    const place = taken % SAMPLES_MAX;
    times[place] = Math.round(clock.now().getTime() / 1_000);
    for (const field of fields) {
      values[field][place] = now[field];
    }
    taken += 1;
  };
  const run = async (signal: AbortSignal) => {
    before = { at: clock.monotonic(), processor: processorTimes(await read(files, '/proc/stat')) };
    while (await clock.sleep(STEP_SECONDS * 1_000, signal)) {
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

/** Empty where it cannot be read: the chart has a gap then. */
async function read(files: Files, path: string): Promise<string> {
  return (await files.readText(path, PROC_LIMIT_BYTES).catch(() => undefined)) ?? '';
}

const NO_PROCESSOR = { busy: Number.NaN, all: Number.NaN };

/** Ticks since the start of all processors together (proc_stat(5): user nice system idle iowait irq …). */
function processorTimes(stat: string): { readonly busy: number; readonly all: number } {
  const ticks = /^cpu +([\d ]+)/.exec(stat)?.[1]?.split(' ').map(Number);
  if (ticks === undefined) {
    return NO_PROCESSOR;
  }
  // Guests are counted in user and nice already.
  const all = ticks.slice(0, 8).reduce((sum, each) => sum + each, 0);
  const [, , , idle = 0, waiting = 0] = ticks;
  return { busy: all - idle - waiting, all };
}

function busyPercent(before: typeof NO_PROCESSOR, now: typeof NO_PROCESSOR): number {
  return (100 * (now.busy - before.busy)) / (now.all - before.all);
}

/** What programs cannot have any more (proc_meminfo(5)). */
function memoryInUse(meminfo: string): number {
  const kibibytes = (name: RegExp) => Number(name.exec(meminfo)?.[1] ?? Number.NaN);
  return (kibibytes(/^MemTotal: +(\d+)/m) - kibibytes(/^MemAvailable: +(\d+)/m)) * 1_024;
}
