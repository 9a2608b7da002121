import { describe, expect, test } from 'bun:test';
import {
  BUSY_SHARE,
  CALM_MS,
  idleMemory,
  LOOK_INTERVAL_MS,
  RELEASE_INTERVAL_MS,
  START_MS,
} from '../../src/daemon/idle-memory.ts';
import { manualClock } from '../support/manual-clock.ts';

const IDLE_SHARE = 0.005;

/** A process whose use of the processor the test decides, and what was asked of it, and when. */
async function startWatching() {
  const clock = manualClock();
  const asked: string[] = [];
  let cpuMs = 300;
  const note = (what: string) => asked.push(`${what} at ${clock.monotonic() / 1_000} s`);
  const runtime = {
    cpuMs: () => cpuMs,
    compileEagerly: () => note('compile eagerly'),
    releaseCode: () => note('release'),
  };
  const stop = new AbortController();
  const { done } = await idleMemory({ clock, runtime }).start(stop.signal);
  return {
    asked,
    /** @param share of one processor */
    spend: async (ms: number, share: number) => {
      for (let spent = 0; spent < ms; spent += LOOK_INTERVAL_MS) {
        await clock.whenSleeping(1);
        cpuMs += LOOK_INTERVAL_MS * share;
        clock.advance(LOOK_INTERVAL_MS);
      }
      await clock.whenSleeping(1);
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

describe('idleMemory()', () => {
  test('gives back the code of the start once it is calm, and what came since then now and again', async () => {
    await using watched = await startWatching();
    await watched.spend(CALM_MS + 2 * RELEASE_INTERVAL_MS, IDLE_SHARE);
    expect(watched.asked).toEqual(['release at 30 s', 'release at 150 s', 'release at 270 s']);
  });

  test('the first work after the start makes the compiler eager, once, and delays the release', async () => {
    await using watched = await startWatching();
    await watched.spend(START_MS + 5_000, IDLE_SHARE);
    await watched.spend(60_000, BUSY_SHARE);
    await watched.spend(CALM_MS, IDLE_SHARE);
    await watched.spend(10_000, 1);
    expect(watched.asked).toEqual(['compile eagerly at 22 s', 'release at 110 s']);
  });

  test('the work of the start itself is no reason to compile', async () => {
    await using watched = await startWatching();
    await watched.spend(START_MS - LOOK_INTERVAL_MS, 1);
    await watched.spend(CALM_MS, IDLE_SHARE);
    expect(watched.asked).toEqual(['release at 44 s']);
  });
});
