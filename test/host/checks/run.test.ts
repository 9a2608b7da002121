import { expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import type { Check, Finding, Severity } from '../../../src/host/checks/check.ts';
import { blockingError, type CheckResult, runChecks } from '../../../src/host/checks/run.ts';
import { type Fact, factsOf } from '../../../src/host/facts/fact.ts';
import { systemFiles } from '../../../src/platform/files.ts';

const facts = () =>
  factsOf({ files: systemFiles('/'), env: {}, architecture: 'x64', addresses: () => [] });

const FINDING = { code: 'DISK_FULL', message: 'No room', hint: 'Make some' } as const;

function check(id: string, rest: Partial<Check>): Check {
  return { id, title: id, severity: 'blocks', needs: [], run: async () => undefined, ...rest };
}

function result(id: string, finding: Finding | null, severity: Severity = 'blocks'): CheckResult {
  return { id, title: id, severity, finding };
}

test('all checks run, whatever the others find, and answer in their order', async () => {
  const unreadable: Fact<number> = {
    id: 'unreadable',
    read: async () => {
      throw new AgentError('FILE_ACCESS', 'Cannot read it', { hint: 'Use sudo' });
    },
  };
  const results = await runChecks(facts(), [
    check('well', {}),
    check('full', { run: async () => FINDING }),
    check('blind', { needs: [unreadable] }),
    check('told', { severity: 'warns', run: async () => FINDING }),
  ]);
  expect(results).toEqual([
    result('well', null),
    result('full', FINDING),
    result('blind', { code: 'FILE_ACCESS', message: 'Cannot read it', hint: 'Use sudo' }),
    result('told', FINDING, 'warns'),
  ]);
});

test('checks run side by side', async () => {
  const other = Promise.withResolvers<void>();
  const results = await runChecks(facts(), [
    check('first', { run: () => other.promise.then(() => undefined) }),
    check('second', {
      run: async () => {
        other.resolve();
        return undefined;
      },
    }),
  ]);
  expect(results.map(({ finding }) => finding)).toEqual([null, null]);
});

test('a bug in a check is no finding', async () => {
  const broken = check('broken', {
    run: async () => {
      throw new TypeError('undefined is not a function');
    },
  });
  expect(await runChecks(facts(), [broken]).catch((thrown) => thrown)).toBeInstanceOf(TypeError);
});

test('what only warns stands in no way', async () => {
  const warns = check('told', { severity: 'warns', run: async () => FINDING });
  expect(blockingError(await runChecks(facts(), [warns]))).toBeUndefined();
});

test('one finding is told as it is', async () => {
  const error = blockingError(
    await runChecks(facts(), [check('full', { run: async () => FINDING })]),
  );
  expect([error?.code, error?.message, error?.hint]).toEqual(['DISK_FULL', 'No room', 'Make some']);
});
