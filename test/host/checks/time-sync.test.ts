import { expect, test } from 'bun:test';
import { clockKept } from '../../../src/host/checks/time-sync.ts';
import type { FactDeps } from '../../../src/host/facts/fact.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { tempDirectory } from '../../support/temp-dir.ts';
import { outcomeOf } from './outcome-of.ts';

const LINE = 'timedatectl show --property=NTP --property=NTPSynchronized';

/** A machine on which timedatectl(1) says this. */
function saying(root: string, stdout: string, exitCode = 0): FactDeps {
  const run = async (argv: readonly string[]) => ({
    exitCode: argv.join(' ') === LINE ? exitCode : 2,
    stdout,
    stderr: '',
  });
  return factDeps(root, { exec: { run } });
}

test('a clock that somebody keeps is all right', async () => {
  await using root = await tempDirectory();
  const outcome = await outcomeOf(clockKept, saying(root.path, 'NTP=no\nNTPSynchronized=yes'));
  expect(outcome).toEqual({ state: 'ok' });
});

test('NTP that is off is switched on; NTP that reaches nobody is let through', async () => {
  await using root = await tempDirectory();
  expect(await outcomeOf(clockKept, saying(root.path, 'NTP=no\nNTPSynchronized=no'))).toMatchObject(
    {
      state: 'found',
      finding: {
        message: 'Nothing keeps the clock of this machine right',
        fix: 'sudo timedatectl set-ntp true',
      },
    },
  );
  expect(
    await outcomeOf(clockKept, saying(root.path, 'NTP=yes\nNTPSynchronized=no')),
  ).toMatchObject({
    state: 'found',
    finding: { message: 'NTP is switched on, but the clock is not synchronized' },
  });
});

test('a container has the clock of its host; without timedatectl nothing is known', async () => {
  await using root = await tempDirectory();
  expect(await outcomeOf(clockKept, saying(root.path, '', 1))).toEqual({
    state: 'not-checked',
    because: 'timedatectl does not say whether the clock is kept',
  });
  await Bun.write(`${root.path}/run/systemd/container`, 'lxc\n');
  expect(await outcomeOf(clockKept, saying(root.path, '', 1))).toEqual({ state: 'ok' });
  await using docker = await tempDirectory();
  await Bun.write(`${docker.path}/.dockerenv`, '');
  expect(await outcomeOf(clockKept, saying(docker.path, '', 1))).toEqual({ state: 'ok' });
});
