/** Another token of the control plane is tried, and one that it takes is there whatever happens. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type SessionState, sessionState } from '../../src/control-plane/session/state.ts';
import { AgentError } from '../../src/core/errors.ts';
import type { Files } from '../../src/core/ports.ts';
import { liveAccess } from '../../src/daemon/control-plane-access.ts';
import { type TokenTrial, tokenTrial } from '../../src/daemon/token-trial.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { failureOf } from '../support/failure-of.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const REFUSED = new AgentError('TOKEN_REJECTED', 'refused', { hint: 'Give another' });
const FULL = new AgentError('DISK_FULL', 'The disk is full', { hint: 'Make room' });

let directory: TempDirectory;
let clock: ManualClock;
let state: SessionState;
/** Reads and changes that are let through; then the process is as good as dead. */
let changesLeft: number;

const paths = () => ({
  controlPlaneToken: join(directory.path, 'token'),
  tokenTrial: join(directory.path, 'token.trial'),
});
const inFile = async () => (await readFile(paths().controlPlaneToken, 'utf8')).trim();
const isOnTrial = () => Bun.file(paths().tokenTrial).exists();

beforeEach(async () => {
  directory = await tempDirectory();
  clock = manualClock();
  state = sessionState({ clock }, 'registering');
  changesLeft = Number.POSITIVE_INFINITY;
  await writeFile(paths().controlPlaneToken, 'first\n');
});
afterEach(() => directory[Symbol.asyncDispose]());

function filesThatEnd(): Files {
  const files = systemFiles('/');
  const change = () => {
    changesLeft -= 1;
    if (changesLeft < 0) {
      throw FULL;
    }
  };
  return {
    ...files,
    writeAtomic: async (...args) => {
      change();
      await files.writeAtomic(...args);
    },
    remove: async (path) => {
      change();
      return await files.remove(path);
    },
  };
}

async function start() {
  const deps = { clock, files: filesThatEnd(), log: memoryLog() };
  const access = await liveAccess(deps, {
    token: paths().controlPlaneToken,
    ca: undefined,
    proxyCredentials: join(directory.path, 'proxy'),
  });
  return await tokenTrial({ ...deps, access, state }, paths());
}

/** Looks so often at the session, or until the trial has ended. */
async function look(trial: TokenTrial, times: number): Promise<void> {
  const stop = new AbortController();
  const { done } = await trial.start(stop.signal);
  let hasEnded = !(await isOnTrial());
  trial.onSettled(() => {
    hasEnded = true;
  });
  for (let left = times; left > 0 && !hasEnded; left -= 1) {
    await until('it waits', () => hasEnded || clock.remainingMs().length > 0);
    clock.advance(500);
  }
  stop.abort();
  await done;
}

test('one that is let in stays, and the one before is forgotten', async () => {
  const trial = await start();
  let settled = 0;
  trial.onSettled(() => {
    settled += 1;
  });
  await trial.begin('second');
  expect([trial.inUse(), trial.settled(), await inFile()]).toEqual(['second', 'first', 'second']);
  expect(await readFile(paths().tokenTrial, 'utf8')).not.toContain('second');
  await look(trial, 3);
  expect([trial.settled(), settled]).toEqual(['first', 0]);
  state.succeeded();
  await look(trial, 2);
  expect([trial.settled(), settled, await isOnTrial()]).toEqual(['second', 1, false]);
});

test('where it is refused the one before is used again', async () => {
  const trial = await start();
  state.succeeded(); // With the one before.
  await trial.begin('second');
  expect(state.snapshot().phase).toBe('registering');
  state.failed(REFUSED);
  await look(trial, 1);
  expect([trial.inUse(), trial.settled(), await inFile()]).toEqual(['first', 'first', 'first']);
  expect(await isOnTrial()).toBe(false);
});

test('whoever waits no longer goes back', async () => {
  const trial = await start();
  await trial.begin('second');
  await trial.goBack();
  await trial.goBack();
  expect([trial.inUse(), await inFile(), await isOnTrial()]).toEqual(['first', 'first', false]);
});

test('of a token that is tried while another one is, the one before both comes back', async () => {
  const trial = await start();
  await trial.begin('second');
  await trial.begin('third');
  state.failed(REFUSED);
  await look(trial, 1);
  expect([trial.inUse(), await inFile()]).toEqual(['first', 'first']);
});

test('one that root gives meanwhile stays, whatever becomes of the session', async () => {
  await (await start()).begin('second');
  await writeFile(paths().controlPlaneToken, 'of root\n');
  const trial = await start();
  expect(trial.settled()).toBe('of root');
  state.failed(REFUSED);
  await look(trial, 1);
  expect([await inFile(), await isOnTrial()]).toEqual(['of root', false]);
});

test('one that another server has settled ends the trial', async () => {
  const trial = await start();
  await trial.begin('second');
  await trial.take('third');
  expect([trial.settled(), await inFile(), await isOnTrial()]).toEqual(['third', 'third', false]);
});

test.each([
  ['takes the new one', 'second'],
  ['refuses the new one', 'first'],
])(
  'killed at any step, the next start has one that the control plane takes: it %s',
  async (_, taken) => {
    for (let step = 0; step < 4; step += 1) {
      await writeFile(paths().controlPlaneToken, 'first\n');
      const before = await start();
      changesLeft = step;
      state = sessionState({ clock }, 'registering');
      if (step < 2) {
        expect(await failureOf(() => before.begin('second'))).toBe(FULL);
      } else {
        await before.begin('second');
        await (step === 2 ? undefined : failureOf(() => before.goBack()));
      }
      changesLeft = Number.POSITIVE_INFINITY;
      const trial = await start();
      state = sessionState({ clock }, 'registering');
      // The control plane takes the first one until it has seen the second.
      const isLetIn = trial.inUse() === 'first' || trial.inUse() === taken;
      const next = await start();
      isLetIn ? state.succeeded() : state.failed(REFUSED);
      await look(next, 2);
      expect([step, ['first', taken].includes(await inFile())]).toEqual([step, true]);
      expect([next.settled(), await isOnTrial()]).toEqual([await inFile(), false]);
    }
  },
);

test('while none is tried nothing is looked at', async () => {
  const trial = await start();
  const stop = new AbortController();
  const { done } = await trial.start(stop.signal);
  expect(clock.remainingMs()).toEqual([]);
  await trial.begin('second');
  await clock.whenSleeping(1);
  stop.abort();
  await done;
});

test('what cannot be written now is written at a later look', async () => {
  const trial = await start();
  await trial.begin('second');
  changesLeft = 0;
  state.failed(REFUSED);
  await look(trial, 1);
  expect(trial.inUse()).toBe('second');
  changesLeft = Number.POSITIVE_INFINITY;
  await look(trial, 1);
  expect([trial.inUse(), await isOnTrial()]).toEqual(['first', false]);
});
