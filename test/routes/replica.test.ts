import { expect, test } from 'bun:test';
import { SessionError } from '../../src/control-plane/session/failure.ts';
import { AgentError, type ErrorCode } from '../../src/core/errors.ts';
import { CHANGES_MAX, NOT_OFFERED_PAUSE_MS, replica } from '../../src/routes/replica.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { turn } from '../support/until.ts';

const SYNC_MS = 4 * 3_600_000;
/** Longer than all tries of one call, shorter than the wait until everything is told anew. */
const TRIES_MS = 12_000;

const status = (code: number) =>
  new SessionError(
    'CONTROL_PLANE_ERROR',
    `answered ${code}`,
    { kind: 'answered', status: code },
    { hint: 'Look' },
  );
const failure = (code: ErrorCode) => new AgentError(code, 'no', { hint: 'Look' });

/** A table here, its copy there, and every call between them. */
function twoTables() {
  const clock = manualClock();
  const log = memoryLog();
  const stop = new AbortController();
  const calls: string[] = [];
  const trouble: (AgentError | undefined)[] = [];
  let wanted: Map<string, string> | undefined;
  let copy = new Map<string, string>();
  const call = async (name: string, effect: () => void) => {
    calls.push(name);
    const error = trouble.shift();
    if (error !== undefined) {
      throw error;
    }
    effect();
  };
  const keeper = replica<{ key: string; value: string }>(
    { clock, log, random: { ...seededRandom(1), fraction: () => 0.5 } },
    {
      name: 'test',
      wanted: () => wanted && new Map([...wanted].map(([key, value]) => [key, { key, value }])),
      replaceAll: (rows) =>
        call(`sync ${[...rows.keys()]}`, () => {
          copy = new Map([...rows].map(([key, row]) => [key, row.value]));
        }),
      put: ({ key, value }) => call(`put ${key}=${value}`, () => copy.set(key, value)),
      remove: ({ key }) => call(`remove ${key}`, () => copy.delete(key)),
      canPut: (before) => before.value !== 'final',
      syncEveryMs: () => SYNC_MS,
    },
  );
  const done = keeper.run(stop.signal);
  return {
    clock,
    log,
    keeper,
    trouble,
    copy: () => Object.fromEntries(copy),
    /** The calls since the last time, once it rests. */
    calls: async () => {
      await clock.whenSleeping(1);
      await turn(); // What has been woken comes to its next sleep.
      await clock.whenSleeping(1);
      return calls.splice(0);
    },
    want: (rows: Record<string, string>) => {
      wanted = new Map(Object.entries(rows));
      keeper.changed();
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

/** Registered and synced with these rows. */
async function synced(rows: Record<string, string>) {
  const tables = twoTables();
  tables.keeper.registered();
  tables.want(rows);
  await tables.calls();
  return tables;
}

test('nothing is told before there is a session and a table', async () => {
  await using tables = twoTables();
  tables.want({ a: '1' });
  expect(await tables.calls()).toEqual([]);
  tables.keeper.registered();
  expect(await tables.calls()).toEqual(['sync a']);
});

test('an empty table is told too', async () => {
  await using tables = await synced({});
  tables.keeper.registered();
  expect(await tables.calls()).toEqual(['sync ']);
});

test('changes are told one by one, removals first', async () => {
  await using tables = await synced({ a: '1', b: '1', c: '1' });
  tables.want({ a: '1', b: '2', d: '1' });
  expect(await tables.calls()).toEqual(['remove c', 'put b=2', 'put d=1']);
  expect(tables.copy()).toEqual({ a: '1', b: '2', d: '1' });
});

test('many changes at once, or one that no single call makes, are told as the whole table', async () => {
  await using tables = await synced({ a: 'final' });
  tables.want({ a: '2' });
  expect(await tables.calls()).toEqual(['sync a']);
  const many = Array.from({ length: CHANGES_MAX + 1 }, (_, index) => [`n${index}`, '1']);
  tables.want({ a: '2', ...Object.fromEntries(many) });
  expect((await tables.calls()).length).toBe(1);
});

test('the whole table is told again at each session and every few hours', async () => {
  await using tables = await synced({ a: '1' });
  tables.keeper.registered();
  expect(await tables.calls()).toEqual(['sync a']);
  tables.clock.advance(SYNC_MS - 1);
  expect(await tables.calls()).toEqual([]);
  tables.clock.advance(1);
  expect(await tables.calls()).toEqual(['sync a']);
});

test.each([
  [500, 3],
  [429, 3],
  [400, 1],
  [409, 1],
] as const)('a row that is answered %d is told %d times', async (code, times) => {
  await using tables = await synced({});
  tables.trouble.push(status(code), status(code), status(code));
  tables.want({ a: '1' });
  let told = await tables.calls();
  while (told.length < times) {
    tables.clock.advance(5_000);
    told = [...told, ...(await tables.calls())];
  }
  tables.trouble.length = 0;
  tables.clock.advance(TRIES_MS);
  expect([...told, ...(await tables.calls())]).toEqual(Array(times).fill('put a=1'));
});

test('after all tries the whole table is told, later', async () => {
  await using tables = await synced({});
  const unreachable = failure('CONTROL_PLANE_UNREACHABLE');
  tables.trouble.push(unreachable, unreachable, unreachable);
  tables.want({ a: '1' });
  for (let tries = (await tables.calls()).length; tries < 3; ) {
    tables.clock.advance(5_000);
    tries += (await tables.calls()).length;
  }
  tables.want({ a: '1', b: '1' });
  expect(await tables.calls()).toEqual([]);
  tables.clock.advance(30_000);
  expect(await tables.calls()).toEqual(['sync a,b']);
});

test.each(['NOT_FOUND', 'TOKEN_REJECTED'] as const)(
  'a control plane that answers %s is asked again after an hour, or at the next session',
  async (code) => {
    await using tables = await synced({});
    tables.trouble.push(failure(code), failure(code));
    tables.want({ a: '1' });
    expect(await tables.calls()).toEqual(['put a=1']);
    tables.clock.advance(NOT_OFFERED_PAUSE_MS - 1);
    expect(await tables.calls()).toEqual([]);
    tables.clock.advance(1);
    expect(await tables.calls()).toEqual(['sync a']);
    tables.keeper.registered();
    expect(await tables.calls()).toEqual(['sync a']);
    expect(tables.copy()).toEqual({ a: '1' });
  },
);

test('a whole table that is refused is told row by row, each refused one once', async () => {
  await using tables = await synced({ old: '1' });
  tables.trouble.push(status(400), undefined, status(422));
  tables.keeper.registered();
  tables.want({ bad: '1', good: '1' });
  expect(await tables.calls()).toEqual(['sync bad,good', 'remove old', 'put bad=1', 'put good=1']);
  expect(tables.copy()).toEqual({ good: '1' });
  tables.keeper.changed();
  expect(await tables.calls()).toEqual([]);
});

test('a bug ends it', async () => {
  await using tables = twoTables();
  const bug = replica(
    { clock: tables.clock, log: tables.log, random: seededRandom(1) },
    {
      name: 'test',
      wanted: () => new Map([['a', 1]]),
      replaceAll: () => Promise.reject(new TypeError('a bug')),
      put: async () => undefined,
      remove: async () => undefined,
      canPut: () => true,
      syncEveryMs: () => SYNC_MS,
    },
  );
  bug.registered();
  await expect(bug.run(new AbortController().signal)).rejects.toThrow('a bug');
});
