import { expect, test } from 'bun:test';
import { fairTurns, type Release, type Turns } from '../../src/proxy/turns.ts';
import { failureOf } from '../support/failure-of.ts';
import { manualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

const FOREVER = new AbortController().signal;

/** Takes places until none is free. */
function fill(gate: Turns, client: string): Release[] {
  const taken: Release[] = [];
  for (let free = gate.tryEnter(client, 'short'); free; free = gate.tryEnter(client, 'short')) {
    taken.push(free);
  }
  return taken;
}

test('one client cannot take all places, and gives its own back', () => {
  const gate = fairTurns({ clock: manualClock() });
  const greedy = fill(gate, 'greedy');
  expect(greedy.length).toBe(128);
  const other = gate.tryEnter('other', 'short');
  expect(other).toBeDefined();
  expect(gate.counts()).toEqual({ running: 129, waiting: 0, streams: 0 });
  for (const release of [...greedy, other]) {
    release?.();
  }
  expect(gate.counts()).toEqual({ running: 0, waiting: 0, streams: 0 });
});

test('those who wait are served in turns, not in the order of their crowd', async () => {
  const gate = fairTurns({ clock: manualClock() });
  const places = [...fill(gate, 'x'), ...fill(gate, 'y')];
  const served: string[] = [];
  const wait = async (client: string) => {
    const release = await gate.waitForTurn(client, FOREVER);
    served.push(client);
    return release;
  };
  const waiting = ['a', 'a', 'a', 'b', 'b', 'c'].map(wait);
  await until('all wait', () => gate.counts().waiting === 6);
  for (const release of places) {
    release();
  }
  for (const release of await Promise.all(waiting)) {
    release();
  }
  // The three crowds take turns before any has its second.
  expect(served.slice(0, 3).sort()).toEqual(['a', 'b', 'c']);
  expect(gate.counts()).toEqual({ running: 0, waiting: 0, streams: 0 });
});

test('who waits too long, leaves, or comes when too many wait is turned away', async () => {
  const clock = manualClock();
  const gate = fairTurns({ clock });
  fill(gate, 'a');
  const late = failureOf(() => gate.waitForTurn('a', FOREVER));
  const gone = new AbortController();
  const left = failureOf(() => gate.waitForTurn('a', gone.signal));
  gone.abort();
  expect((await left).code).toBe('TOO_MANY_REQUESTS');
  clock.advance(15_000);
  expect((await late).code).toBe('TOO_MANY_REQUESTS');
  expect(gate.counts()).toEqual({ running: 128, waiting: 0, streams: 0 });
  const crowd = new AbortController();
  const waiting = Array.from({ length: 256 }, () =>
    failureOf(() => gate.waitForTurn('a', crowd.signal)),
  );
  const error = await failureOf(() => gate.waitForTurn('a', FOREVER));
  expect([error.code, error.details]).toEqual(['TOO_MANY_REQUESTS', { retry_after_seconds: 1 }]);
  crowd.abort();
  await Promise.all(waiting);
  expect(gate.counts().waiting).toBe(0);
});

test('streams have places of their own, and never wait', async () => {
  const gate = fairTurns({ clock: manualClock() });
  const taken = Array.from({ length: 1_500 }, () => gate.tryEnter('a', 'stream'));
  const error = await failureOf(async () => gate.tryEnter('a', 'stream'));
  expect(error.code).toBe('TOO_MANY_REQUESTS');
  expect(gate.tryEnter('a', 'short')).toBeDefined();
  taken[0]?.();
  expect(gate.tryEnter('a', 'stream')).toBeDefined();
});
