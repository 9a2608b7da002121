import { expect, test } from 'bun:test';
import { HEAP_BYTES_MAX, profiling } from '../../src/daemon/profiling.ts';
import type { StreamSink } from '../../src/server/api/stream.ts';
import { failureOf } from '../support/failure-of.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';

const PROFILE = { nodes: [], startTime: 0, endTime: 1, samples: [], timeDeltas: [] };
const never = new AbortController().signal;

function started(heapBytes = 1) {
  const clock = manualClock();
  const profiler = {
    startCpuProfile: async () => async () => PROFILE,
    heapBytes: () => heapBytes,
    heapSnapshot: () => Buffer.alloc(200_000, 'x'),
  };
  return { clock, source: profiling({ clock, log: memoryLog(), profiler }) };
}

/** Takes all at once. */
function reading() {
  const ended = Promise.withResolvers<number>();
  let held = 0;
  const sink: StreamSink = {
    write: (bytes) => {
      held += bytes.length;
      return true;
    },
    end: () => ended.resolve(held),
    break: () => ended.reject(new Error('broken')),
  };
  return { sink, bytes: ended.promise };
}

test('a profile takes as long as was asked for, and only one is taken at a time', async () => {
  const { clock, source } = started();
  const first = source.cpuProfile({ seconds: 2 }, never);
  await clock.whenSleeping(1);
  expect((await failureOf(() => source.cpuProfile({ seconds: 1 }, never))).code).toBe('BUSY');
  expect((await failureOf(async () => source.heap())).code).toBe('BUSY');
  clock.advance(2_000);
  expect(await first).toEqual(PROFILE);
  const gone = AbortSignal.abort();
  expect(await source.cpuProfile({ seconds: 60 }, gone)).toEqual(PROFILE);
});

test('a snapshot is sent piece by piece, and the next one may be asked for then', async () => {
  const { source } = started();
  for (const _ of [1, 2]) {
    const { sink, bytes } = reading();
    source.heap().begin(sink);
    expect(await bytes).toBe(200_000);
  }
});

test('of two that were let in at the same time one snapshot is made', async () => {
  const { source } = started();
  const [first, second] = [source.heap(), source.heap()];
  const [one, other] = [reading(), reading()];
  first.begin(one.sink);
  second.begin(other.sink);
  expect(await Promise.allSettled([one.bytes, other.bytes])).toEqual([
    { status: 'fulfilled', value: 200_000 },
    { status: 'rejected', reason: new Error('broken') },
  ]);
});

test('of a large heap there is no snapshot', async () => {
  const { source } = started(HEAP_BYTES_MAX + 1);
  expect((await failureOf(async () => source.heap())).code).toBe('BUSY');
});
