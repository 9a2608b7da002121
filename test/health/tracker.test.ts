/** What is shown, from when to when, and what is remembered of it. */
import { expect, test } from 'bun:test';
import { EPISODES_MAX } from '../../src/health/history.ts';
import { healthTracker } from '../../src/health/tracker.ts';
import type { Warnable } from '../../src/health/warnable.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NOTHING_WRONG } from './nothing-wrong.ts';

const never = new AbortController().signal;

/** A table of which the test says what is wrong, by id and what it is about. */
function stand(lines: Readonly<Record<string, Partial<Warnable>>>) {
  const clock = manualClock();
  const wrong = new Set<string>();
  const table = Object.entries(lines).map(([id, line]): Warnable => {
    const find = () =>
      [...wrong]
        .filter((each) => each.split('/')[0] === id)
        .map((each) => ({
          about: each.split('/')[1] ?? '',
          code: 'X',
          message: `${each} is wrong`,
        }));
    const usual = { title: id, dependsOn: [], visibleAfterMs: 0, why: '', remedy: '' };
    return { ...usual, id, severity: 'blocks', ...line, find };
  });
  const gather = async () => ({ ...NOTHING_WRONG, now: clock.now() });
  const log = memoryLog();
  const health = healthTracker({ clock, log }, table, gather);
  const look = async () => {
    const { ready, problems } = await health.look(never);
    return { ready, shown: problems.map(({ message, since }) => [message, since.getTime()]) };
  };
  return { clock, log, wrong, health, look };
}

const START_MS = manualClock().now().getTime();

test('a problem is seen after its time, with when it began, and is over at once', async () => {
  const { clock, wrong, look } = stand({ a: { visibleAfterMs: 10_000 } });
  wrong.add('a');
  expect(await look()).toEqual({ ready: true, shown: [] });
  clock.advance(9_999);
  expect(await look()).toEqual({ ready: true, shown: [] });
  clock.advance(1);
  expect(await look()).toEqual({ ready: false, shown: [['a is wrong', START_MS]] });
  wrong.clear();
  expect(await look()).toEqual({ ready: true, shown: [] });
  wrong.add('a');
  expect(await look()).toEqual({ ready: true, shown: [] });
});

test('what only warns leaves the agent ready', async () => {
  const { wrong, look } = stand({ a: { severity: 'warns' } });
  wrong.add('a');
  expect(await look()).toEqual({ ready: true, shown: [['a is wrong', START_MS]] });
});

test('a cause hides what follows from it, also by way of others, and only while it lasts', async () => {
  const { clock, wrong, look } = stand({
    root: {},
    middle: { dependsOn: ['root'] },
    leaf: { dependsOn: ['middle'] },
  });
  wrong.add('leaf');
  expect((await look()).shown).toEqual([['leaf is wrong', START_MS]]);
  wrong.add('root');
  expect((await look()).shown).toEqual([['root is wrong', START_MS]]);
  clock.advance(1_000);
  wrong.delete('root');
  expect((await look()).shown).toEqual([['leaf is wrong', START_MS]]);
});

test('a cause that is not seen yet hides nothing', async () => {
  const { wrong, look } = stand({
    root: { visibleAfterMs: 5_000 },
    leaf: { dependsOn: ['root'], visibleAfterMs: 5_000 },
    other: { dependsOn: ['root'] },
  });
  wrong.add('root').add('leaf').add('other');
  expect((await look()).shown).toEqual([['other is wrong', START_MS]]);
});

test('it is remembered what was wrong from when to when, and how often', async () => {
  const { clock, wrong, health, look } = stand({ root: {}, leaf: { dependsOn: ['root'] } });
  wrong.add('leaf/1');
  await look();
  wrong.add('root').add('leaf/2');
  await look();
  clock.advance(1_000);
  wrong.delete('leaf/1');
  await look();
  clock.advance(1_000);
  wrong.delete('root');
  await look();
  const at = (ms: number) => new Date(START_MS + ms);
  const episode = (warnable: string, about: string, message: string) => ({
    ...{ warnable, about, message, code: 'X', since: at(0) },
  });
  expect(health.episodes()).toEqual([
    // Hidden until its cause was over.
    { ...episode('leaf', '2', 'leaf/2 is wrong'), until: undefined },
    { ...episode('root', '', 'root is wrong'), until: at(2_000) },
    { ...episode('leaf', '1', 'leaf/1 is wrong'), until: at(1_000) },
  ]);
  expect([health.times('leaf'), health.times('root'), health.times('none')]).toEqual([2, 1, 0]);
});

test('the newest episodes are kept, however often something happens', async () => {
  const { wrong, health, look } = stand({ a: {} });
  for (let round = 0; round < EPISODES_MAX + 20; round += 1) {
    wrong.add(`a/${round}`);
    await look();
    wrong.clear();
    await look();
  }
  const abouts = health.episodes().map(({ about }) => about);
  expect([abouts.length, abouts[0], abouts.at(-1)]).toEqual([EPISODES_MAX, '119', '20']);
  expect(health.times('a')).toBe(EPISODES_MAX + 20);
});

test('what a look has found can be had without another one', async () => {
  const { wrong, health, look } = stand({ a: {} });
  expect(health.last()).toBeUndefined();
  wrong.add('a');
  await look();
  wrong.clear();
  expect(health.last()).toMatchObject({ ready: false, problems: [{ warnable: 'a' }] });
});

test('the log tells each warning when it begins and when it is over, once', async () => {
  const { log, wrong, look } = stand({ a: { severity: 'warns' }, b: {} });
  wrong.add('a/x').add('b');
  await look();
  await look();
  wrong.clear();
  await look();
  const fields = { warnable: 'a', about: 'x' };
  expect(log.entries).toEqual([
    {
      level: 'warn',
      message: 'something is wrong',
      fields: { ...fields, error_code: 'X', error: 'a/x is wrong' },
    },
    { level: 'info', message: 'it is right again', fields },
  ]);
});
