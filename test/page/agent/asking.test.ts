import { beforeEach, expect, test } from 'bun:test';
import { type Asking, asking } from '../../../src/page/agent/asking.ts';

const PAUSE_MS = 3_000;
const LIVE_MS = 15_000;

let now: number;
let timers: Map<number, { readonly at: number; readonly work: () => void }>;
let askedAt: number[];
let isLookedAt: boolean;
let pauseMs: number;
/** Settles the question that is under way; set only where answers take their time. */
let answer: (() => void) | undefined;
let takesTime: boolean;
let it: Asking;

beforeEach(() => {
  now = 0;
  timers = new Map();
  askedAt = [];
  isLookedAt = true;
  pauseMs = PAUSE_MS;
  takesTime = false;
  answer = undefined;
  it = asking(
    {
      monotonic: () => now,
      setTimer: (work, ms) => {
        timers.set(timers.size + askedAt.length * 1_000, { at: now + ms, work });
        return [...timers.keys()].at(-1) ?? 0;
      },
      clearTimer: (timer) => void timers.delete(timer),
      isLookedAt: () => isLookedAt,
    },
    () => {
      askedAt.push(now);
      return takesTime ? new Promise((resolve) => (answer = resolve)) : Promise.resolve();
    },
    () => pauseMs,
  );
});

/** Lets the time pass, with what is due meanwhile. */
async function pass(ms: number): Promise<void> {
  const end = now + ms;
  for (;;) {
    await settled();
    const next = [...timers].sort(([, one], [, other]) => one.at - other.at)[0];
    if (next === undefined || next[1].at > end) {
      now = end;
      return;
    }
    timers.delete(next[0]);
    now = Math.max(now, next[1].at);
    next[1].work();
  }
}

/** Everything that was promised has happened. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('it is asked again after each pause', async () => {
  it.now();
  await pass(7_000);
  expect(askedAt).toEqual([0, 3_000, 6_000]);
});

test('news are asked for at once, and many together once more', async () => {
  pauseMs = LIVE_MS;
  it.now();
  await pass(2_000);
  for (const _ of Array(5)) {
    it.soon();
    await pass(10);
  }
  await pass(2_000);
  expect(askedAt).toEqual([0, 2_000, 2_500]);
});

test('news that come while it is asked are asked for behind it', async () => {
  pauseMs = LIVE_MS;
  takesTime = true;
  it.now();
  await pass(100);
  it.soon();
  it.soon();
  answer?.();
  await pass(1_000);
  expect(askedAt).toEqual([0, 600]);
});

test('while nobody looks nothing is asked, and then at once', async () => {
  it.now();
  await pass(10);
  isLookedAt = false;
  await pass(60_000);
  expect(askedAt).toEqual([0]);
  expect(timers.size).toBe(0);
  isLookedAt = true;
  it.now();
  await pass(10);
  expect(askedAt).toEqual([0, 60_010]);
});

test('when news are no longer heard, the long pause becomes a short one', async () => {
  pauseMs = LIVE_MS;
  it.now();
  await pass(1_000);
  pauseMs = PAUSE_MS;
  it.repace();
  await pass(3_500);
  expect(askedAt).toEqual([0, 4_000]);
});

test('after its end nothing is asked', async () => {
  it.now();
  await pass(10);
  it.end();
  it.soon();
  await pass(60_000);
  expect(askedAt).toEqual([0]);
});
