import { expect, test } from 'bun:test';
import { runChecks } from '../../../src/host/checks/run.ts';
import { type Fact, factsOf } from '../../../src/host/facts/fact.ts';
import { CHECKS } from '../../../src/machine/checks.ts';
import { bareMachine } from '../../support/bare-machine.ts';
import { factDeps } from '../../support/fact-deps.ts';

const deps = factDeps('/');

test('a fact is read once, whoever asks and however often', async () => {
  let reads = 0;
  const counted: Fact<number> = {
    id: 'counted',
    read: async () => {
      reads += 1;
      return reads;
    },
  };
  const facts = factsOf(deps);
  expect(await Promise.all([facts(counted), facts(counted)])).toEqual([1, 1]);
  expect(await facts(counted)).toBe(1);
  expect(await factsOf(deps)(counted)).toBe(2);
});

test('no check has a program run that another one has run already', async () => {
  await using machine = await bareMachine();
  const usual = factDeps(machine.path);
  const lines: string[] = [];
  const exec: typeof usual.exec = {
    run: (argv, options) => {
      lines.push(argv.join(' '));
      return usual.exec.run(argv, options);
    },
  };
  await runChecks({ ...usual, exec }, CHECKS);
  expect(lines).toContain('ip -json -4 route show table all');
  expect(lines.toSorted()).toEqual([...new Set(lines)].toSorted());
});
