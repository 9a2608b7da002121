import { expect, test } from 'bun:test';
import type { CheckResult } from '../../src/host/checks/run.ts';
import { withIgnored } from '../../src/machine/ignored-checks.ts';

const result = (id: string): CheckResult => ({
  id,
  title: id,
  severity: 'blocks',
  why: '',
  outcome: { state: 'found', finding: { code: 'HOST_UNSUPPORTED', message: 'no', hint: 'mend' } },
});

test('what a check finds is only told when its name is to be ignored', () => {
  const results = [result('memory'), result('cgroup-version')];
  const [memory, cgroups] = results;
  expect(withIgnored(results, undefined)).toEqual(results);
  expect(withIgnored(results, ' cgroup-version, tools')).toEqual([
    memory,
    { ...cgroups, severity: 'warns' },
  ] as CheckResult[]);
});

test('a name that no check has is refused, and those that there are named', () => {
  expect(() => withIgnored([], 'cgroups')).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: 'There is no check "cgroups"',
      hint: expect.stringContaining('PIPEOPS_IGNORE_CHECKS may name these: distribution,'),
    }),
  );
});
