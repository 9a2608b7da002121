import { expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import { type Check, EVERYWHERE, type Finding } from '../../../src/host/checks/check.ts';
import {
  blockingError,
  CHECK_LIMIT_MS,
  type CheckResult,
  type Outcome,
  runChecks,
} from '../../../src/host/checks/run.ts';
import type { Fact } from '../../../src/host/facts/fact.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/until.ts';

const FINDING = { code: 'DISK_FULL', message: 'No room', hint: 'Make some' } as const;

function check(id: string, rest: Partial<Check>): Check {
  return {
    id,
    title: id,
    severity: 'blocks',
    cost: 'cheap',
    roles: EVERYWHERE,
    why: `why ${id}`,
    remedy: '',
    needs: [],
    run: async () => undefined,
    ...rest,
  };
}

const found = (finding: Finding): Outcome => ({ state: 'found', finding });

function result(id: string, outcome: Outcome, severity: Check['severity'] = 'blocks'): CheckResult {
  return { id, title: id, severity, why: `why ${id}`, outcome };
}

function throwing(error: Error): Fact<number> {
  return {
    id: 'unreadable',
    read: async () => {
      throw error;
    },
  };
}

const denied = throwing(
  new AgentError('FILE_ACCESS', 'Cannot read it', { hint: 'Use sudo', details: { denied: true } }),
);

test('all checks run, whatever the others find, and answer in their order', async () => {
  const results = await runChecks(factDeps('/', { uid: 1_000 }), [
    check('well', {}),
    check('full', { run: async () => FINDING }),
    check('blind', { needs: [denied] }),
    check('shut', {
      run: async (facts) => {
        await facts(denied);
        return undefined;
      },
    }),
    check('unsure', { run: async () => ({ notChecked: 'nobody knows' }) }),
    check('told', { severity: 'warns', run: async () => FINDING }),
    check('thrown', {
      run: async () => {
        throw new AgentError('PORT_IN_USE', 'Taken', { hint: 'Free it' });
      },
    }),
  ]);
  expect(results).toEqual([
    result('well', { state: 'ok' }),
    result('full', found(FINDING)),
    result('blind', { state: 'not-checked', because: 'Cannot read it; root may' }),
    result('shut', { state: 'not-checked', because: 'Cannot read it; root may' }),
    result('unsure', { state: 'not-checked', because: 'nobody knows' }),
    result('told', found(FINDING), 'warns'),
    result('thrown', found({ code: 'PORT_IN_USE', message: 'Taken', hint: 'Free it' })),
  ]);
});

test('checks run side by side', async () => {
  const other = Promise.withResolvers<void>();
  const results = await runChecks(factDeps('/'), [
    check('first', { run: () => other.promise.then(() => undefined) }),
    check('second', {
      run: async () => {
        other.resolve();
        return undefined;
      },
    }),
  ]);
  expect(results.map(({ outcome }) => outcome.state)).toEqual(['ok', 'ok']);
});

test('a check that hangs is not checked, and the others are', async () => {
  const clock = manualClock();
  const running = runChecks(factDeps('/', { clock }), [
    check('hangs', { run: () => new Promise(() => undefined) }),
    check('well', {}),
  ]);
  // The limits of the whole run and of the check that hangs: the other one has ended.
  await until('only the hanging one is left', () => clock.remainingMs().length === 2);
  clock.advance(CHECK_LIMIT_MS);
  expect(await running).toEqual([
    result('hangs', { state: 'not-checked', because: 'it takes longer than 2.5 s here' }),
    result('well', { state: 'ok' }),
  ]);
});

test('however many hang, all together end within 3 s', async () => {
  const clock = manualClock();
  const hangs = check('hangs', { run: () => new Promise(() => undefined) });
  const running = runChecks(
    factDeps('/', { clock }),
    Array(100)
      .fill(0)
      .map(() => ({ ...hangs })),
  );
  await clock.whenSleeping(17);
  clock.advance(CHECK_LIMIT_MS);
  await clock.whenSleeping(17);
  clock.advance(3_000 - CHECK_LIMIT_MS);
  expect((await running).map(({ outcome }) => outcome.state)).toEqual(
    Array(100).fill('not-checked'),
  );
});

test('whoever interrupts it gets no results', async () => {
  const stop = new AbortController();
  const running = runChecks(factDeps('/', { signal: stop.signal }), [
    check('hangs', { run: () => new Promise(() => undefined) }),
  ]);
  stop.abort();
  expect(await failureOf(() => running)).toMatchObject({ code: 'INTERRUPTED' });
});

test('a bug in a check is no finding', async () => {
  const broken = check('broken', {
    run: async () => {
      throw new TypeError('undefined is not a function');
    },
  });
  const run = runChecks(factDeps('/'), [broken]);
  expect(await run.catch((thrown) => thrown)).toBeInstanceOf(TypeError);
});

test('what only warns stands in no way', async () => {
  const warns = check('told', { severity: 'warns', run: async () => FINDING });
  expect(blockingError(await runChecks(factDeps('/'), [warns]))).toBeUndefined();
});

test('one finding is told as it is, with the command that mends it', async () => {
  const full = check('full', { run: async () => ({ ...FINDING, fix: 'rm /big' }) });
  const error = blockingError(await runChecks(factDeps('/'), [full]));
  expect([error?.code, error?.message, error?.hint]).toEqual([
    'DISK_FULL',
    'No room',
    'Make some: rm /big',
  ]);
});
