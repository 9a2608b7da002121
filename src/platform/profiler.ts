import * as jsc from 'bun:jsc';
import type { Profiler as Inspected } from 'node:inspector';
import { basename } from 'node:path';
import type { Profiler, StackSample } from '../core/ports.ts';

/** Between two samples of the stack, µs: a stall of 50 ms has ten. */
const SAMPLE_INTERVAL_US = 5_000;
const MS_PER_SECOND = 1_000;

/** Of the samples of a profile, µs. */
const PROFILE_INTERVAL_US = 1_000;
/** What the runtime says for a line that it does not know. */
const LINE_UNKNOWN = 0xff_ff_ff_ff;

interface Frame {
  readonly name: string;
  readonly sourceURL?: string;
  readonly line: number;
}

/** What the runtime says of its stacks; its types do not say it. */
interface Traces {
  readonly traces: readonly {
    /** Seconds. */
    readonly timestamp: number;
    readonly frames: readonly Frame[];
  }[];
}

type ProfileNode = Inspected.ProfileNode;

/** The runtime has one sampler: it is stacks or a profile, and the profile goes first. */
export function systemProfiler(): Profiler {
  let watches = false;
  let isProfiling = false;
  const sampleStacks = () => jsc.startSamplingProfiler(undefined, SAMPLE_INTERVAL_US);
  return {
    startCpuProfile: async () => {
      isProfiling = true;
      const { Session } = await import('node:inspector/promises');
      const session = new Session();
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: PROFILE_INTERVAL_US });
      await session.post('Profiler.start');
      return async () => {
        const { profile } = await session.post('Profiler.stop');
        session.disconnect();
        isProfiling = false;
        if (watches) {
          sampleStacks();
        }
        const { nodes, startTime, endTime, samples = [], timeDeltas = [] } = profile;
        return { nodes: nodes.map(nodeOf), startTime, endTime, samples, timeDeltas };
      };
    },
    heapBytes: jsc.heapSize,
    heapSnapshot: () => new Uint8Array(Bun.generateHeapSnapshot('v8', 'arraybuffer')),
    watchStacks: () => {
      watches = true;
      sampleStacks();
    },
    takeStacks: () => (watches && !isProfiling ? takeStacks() : []),
  };
}

function nodeOf({ id, callFrame, hitCount = 0, children = [] }: ProfileNode) {
  return { id, callFrame, hitCount, children };
}

function frameText({ name, sourceURL, line }: Frame): string {
  if (sourceURL === undefined) {
    return name;
  }
  const place = line === LINE_UNKNOWN ? '' : `:${line}`;
  return `${name || '(anonymous)'} (${basename(sourceURL)}${place})`;
}

function takeStacks(): readonly StackSample[] {
  // Its types do not know it.
  const { traces } = Reflect.get(jsc, 'samplingProfilerStackTraces')() as Traces;
  return traces.map(({ timestamp, frames }) => ({
    atMs: timestamp * MS_PER_SECOND,
    frames: frames.map(frameText),
  }));
}
