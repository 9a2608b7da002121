import { expect, test } from 'bun:test';
import type { StackSample } from '../../src/core/ports.ts';
import {
  LOOK_INTERVAL_MS,
  STALL_MS,
  stallWatch,
  TOLD_EVERY_MS,
} from '../../src/telemetry/stalls.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';

/** @param samples what the next look at the stacks finds */
async function watching(samples: StackSample[] = []) {
  const clock = manualClock();
  const log = memoryLog();
  const stop = new AbortController();
  let watches = 0;
  const profiler = {
    watchStacks: () => {
      watches += 1;
    },
    takeStacks: () => samples.splice(0),
  };
  const { done } = await stallWatch({ clock, log, profiler }).start(stop.signal);
  return {
    ...{ log, samples, watches: () => watches },
    /** A turn of the loop that takes so much longer. */
    turn: async (stalledMs: number) => {
      await clock.whenSleeping(1);
      clock.advance(LOOK_INTERVAL_MS + stalledMs);
      await clock.whenSleeping(1);
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

const sample = (atMs: number, ...frames: string[]): StackSample => ({ atMs, frames });

test('a turn that takes too long is told, with the stack that was seen most often meanwhile', async () => {
  await using watched = await watching([
    sample(100, 'before (a.ts:1)'),
    sample(920, 'parse (b.ts:1)', 'read (b.ts:9)'),
    sample(940, 'other (c.ts:2)'),
    sample(960, 'parse (b.ts:1)', 'read (b.ts:9)'),
  ]);
  await watched.turn(STALL_MS - 1);
  await watched.turn(STALL_MS + 10);
  expect(watched.watches()).toBe(1);
  expect(watched.log.entries).toEqual([
    {
      level: 'warn',
      message: 'the event loop stood still',
      fields: {
        duration_ms: STALL_MS + 10,
        stack: 'parse (b.ts:1) < read (b.ts:9)',
        samples: '2 of 3',
      },
    },
  ]);
});

test('of many in a row the next line says how many were not told; without samples there is no stack', async () => {
  await using watched = await watching();
  for (let count = 0; count < 4; count += 1) {
    await watched.turn(STALL_MS);
  }
  await watched.turn(TOLD_EVERY_MS);
  expect(watched.log.entries.map(({ fields }) => fields)).toEqual([
    { duration_ms: STALL_MS },
    { duration_ms: TOLD_EVERY_MS, untold: 3 },
  ]);
});

test('samples that nobody asked for are dropped', async () => {
  await using watched = await watching([sample(1, 'f')]);
  for (let count = 0; count < TOLD_EVERY_MS / LOOK_INTERVAL_MS; count += 1) {
    await watched.turn(0);
  }
  expect([watched.samples, watched.log.entries]).toEqual([[], []]);
});
