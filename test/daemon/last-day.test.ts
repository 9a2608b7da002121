import { expect, test } from 'bun:test';
import type { Files } from '../../src/core/ports.ts';
import { lastDay, SAMPLES_MAX, STEP_SECONDS } from '../../src/daemon/last-day.ts';
import { manualClock } from '../support/manual-clock.ts';

const STEP_MS = STEP_SECONDS * 1_000;

function machine() {
  const texts: Record<string, string> = {};
  const clock = manualClock();
  const files = { readText: async (path: string) => texts[path] } as Pick<Files, 'readText'>;
  const day = lastDay({ clock, files: files as Files });
  const stop = new AbortController();
  const minute = async () => {
    await clock.whenSleeping(1);
    clock.advance(STEP_MS);
    await clock.whenSleeping(1);
  };
  return { texts, clock, day, minute, stop };
}

test('each minute has how busy processors and memory were, and what went through the agent', async () => {
  const { texts, day, minute, stop } = machine();
  texts['/proc/stat'] = 'cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1\n';
  texts['/proc/meminfo'] = 'MemTotal:        4096 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n';
  const { done } = await day.service.start(stop.signal);
  day.measured(20);
  day.measured(40);
  texts['/proc/stat'] = 'cpu  160 10 130 780 110 10 0 0 90 0\ncpu0 1 1\n';
  await minute();
  await minute();
  stop.abort();
  await done;
  const at = Date.parse('2026-01-01T00:00:00.000Z') / 1_000;
  expect(day.answer()).toEqual({
    step_seconds: 60,
    times: [at + 60, at + 120],
    cpu_percent: [55, null],
    memory_bytes: [3_146_000, 3_146_000],
    requests_per_second: [0.03333, 0],
    latency_ms: [30, null],
  });
});

test('what cannot be read is a gap', async () => {
  const { day, minute, stop } = machine();
  const { done } = await day.service.start(stop.signal);
  await minute();
  stop.abort();
  await done;
  expect(day.answer()).toMatchObject({ cpu_percent: [null], memory_bytes: [null] });
});

test('a day is kept, and what is older goes', async () => {
  const { clock, day, minute, stop } = machine();
  const { done } = await day.service.start(stop.signal);
  for (let each = 0; each < SAMPLES_MAX + 3; each += 1) {
    await minute();
  }
  stop.abort();
  await done;
  const { times } = day.answer();
  const now = clock.now().getTime() / 1_000;
  expect([times.length, times.at(-1), times[0]]).toEqual([
    SAMPLES_MAX,
    now,
    now - (SAMPLES_MAX - 1) * STEP_SECONDS,
  ]);
});
