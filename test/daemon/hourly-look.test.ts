import { expect, test } from 'bun:test';
import { FIRST_LOOK_MS, hourlyLook, LOOK_EVERY_MS } from '../../src/daemon/hourly-look.ts';
import type { CheckResult } from '../../src/host/checks/run.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { until } from '../support/until.ts';

const FULL: CheckResult = {
  id: 'disk-space',
  title: 'Disk space',
  severity: 'blocks',
  why: 'It is needed.',
  outcome: {
    state: 'found',
    finding: { code: 'DISK_FULL', message: 'No room', hint: 'Make some', fix: 'rm /big' },
  },
};
const FINDING = {
  ...{ check: 'disk-space', code: 'DISK_FULL', message: 'No room' },
  advice: 'Make some: rm /big',
};
const UNKNOWN: CheckResult = { ...FULL, id: 'x', outcome: { state: 'not-checked', because: 'y' } };

test('it looks a minute after the start and every hour, and tells what it has found', async () => {
  const clock = manualClock();
  const log = memoryLog();
  const stop = new AbortController();
  let results: readonly CheckResult[] = [FULL, UNKNOWN];
  let looks = 0;
  const needs: unknown[] = [];
  const upkeep = async (k3s: unknown) => {
    needs.push(k3s);
    return needs.length === 4;
  };
  const k3s = { restart: null, authority_ends: null };
  const look = hourlyLook({ clock, random: seededRandom(1), log, upkeep }, async () => {
    looks += 1;
    return { results, k3s };
  });
  const { done } = await look.service.start(stop.signal);
  const afterLook = async (count: number) => {
    await until(`look ${count}`, () => looks === count && clock.remainingMs().length === 1);
  };
  expect(look.findings()).toEqual([]);
  clock.advance(FIRST_LOOK_MS);
  await afterLook(1);
  expect(look.findings()).toEqual([FINDING]);

  results = [UNKNOWN];
  clock.advance(LOOK_EVERY_MS * 0.9);
  expect([looks, look.findings()]).toEqual([1, [FINDING]]);
  clock.advance(LOOK_EVERY_MS * 0.2);
  await afterLook(2);
  expect(look.findings()).toEqual([]);

  look.lookSoon();
  await afterLook(3);
  // What was mended is looked at again.
  look.lookSoon();
  await afterLook(5);
  expect(needs).toEqual([k3s, k3s, k3s, k3s, k3s]);
  expect(log.entries).toEqual([]);
  stop.abort();
  await done;
});

test('a bug in a check is logged, does not end the daemon, and the next look comes', async () => {
  const clock = manualClock();
  const log = memoryLog();
  const stop = new AbortController();
  let looks = 0;
  const upkeep = async () => false;
  const look = hourlyLook({ clock, random: seededRandom(1), log, upkeep }, async () => {
    looks += 1;
    if (looks === 1) {
      throw new TypeError('undefined is not a function');
    }
    return { results: [FULL], k3s: undefined };
  });
  const { done } = await look.service.start(stop.signal);
  clock.advance(FIRST_LOOK_MS);
  await until('the first look is over', () => looks === 1 && clock.remainingMs().length === 1);
  expect(log.entries.map(({ message }) => message)).toEqual(['the machine could not be looked at']);
  clock.advance(LOOK_EVERY_MS * 1.1);
  await until('the second look is over', () => look.findings().length === 1);
  stop.abort();
  await done;
});
