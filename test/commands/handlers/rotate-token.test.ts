import { beforeEach, expect, test } from 'bun:test';
import type { CommandContext } from '../../../src/commands/engine/handler.ts';
import { rotateTokenCommand } from '../../../src/commands/handlers/rotate-token.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

let inUse: string;
let settled: string;
let done: string[];
const NOTED = 'note {"node":"node-1"}';

beforeEach(() => {
  inUse = 'first';
  settled = 'first';
  done = [];
});

/** @param atLook what has happened when it looks again; false: nobody waits any longer */
function contextWith(
  atLook: () => boolean,
  stopping = new AbortController(),
  checkpoint?: unknown,
): CommandContext {
  return {
    ...unusedCommandDeps(),
    clock: { ...systemClock, sleep: async () => atLook() },
    ownToken: {
      inUse: () => inUse,
      settled: () => settled,
      begin: async (token) => {
        done.push(`begin ${token}`);
        inUse = token;
      },
      goBack: async () => {
        done.push('go back');
        inUse = settled;
      },
    },
    commandId: 'command-1',
    signal: stopping.signal,
    stopping: stopping.signal,
    log: memoryLog(),
    node: 'node-1',
    checkpoint,
    setCheckpoint: async (value) => void done.push(`note ${JSON.stringify(value)}`),
    progress: () => undefined,
  };
}

const run = (context: CommandContext) =>
  rotateTokenCommand.prepare({ new_token: 'second' }).run(context);

test('it answers once the control plane has let the agent in', async () => {
  const context = contextWith(() => {
    settled = 'second';
    return true;
  });
  expect(await run(context)).toEqual({
    output: 'The control plane takes the new token; the one before is forgotten here',
    data: { in_use: true },
  });
  expect(done).toEqual(['begin second', NOTED]);
});

test('a refused one is a failure, with the one before in use', async () => {
  const context = contextWith(() => {
    inUse = 'first';
    return true;
  });
  expect(await failureOf(() => run(context))).toMatchObject({ code: 'TOKEN_REJECTED' });
  expect(done).toEqual(['begin second', NOTED]);
});

test('a cancel goes back, unless it comes too late', async () => {
  expect(await failureOf(() => run(contextWith(() => false)))).toMatchObject({
    code: 'COMMAND_CANCELLED',
    message: 'the token before is in use again',
  });
  expect(done).toEqual(['begin second', NOTED, 'go back']);
  const late = contextWith(() => {
    settled = 'second';
    return false;
  });
  expect(await run(late)).toMatchObject({ data: { in_use: true } });
});

test('when the daemon stops the trial goes on at its next start', async () => {
  const stopping = new AbortController();
  const context = contextWith(() => {
    stopping.abort();
    return false;
  }, stopping);
  expect(await failureOf(() => run(context))).toMatchObject({ code: 'COMMAND_CANCELLED' });
  expect(done).toEqual(['begin second', NOTED]);
});

test('what root has set here since it was begun stays: the next start does not begin it again', async () => {
  for (const ofRoot of ['of root', '']) {
    inUse = ofRoot;
    settled = ofRoot;
    const context = contextWith(() => true, undefined, { node: 'node-1' });
    expect(await failureOf(() => run(context))).toMatchObject({ code: 'TOKEN_REJECTED' });
  }
  expect(done).toEqual([]);
});

test('another server that takes the command over begins it there', async () => {
  const context = contextWith(
    () => {
      settled = 'second';
      return true;
    },
    undefined,
    { node: 'node-2' },
  );
  await run(context);
  expect(done).toEqual(['begin second', NOTED]);
});

test('an agent that root has given no token gets none from a command', async () => {
  inUse = '';
  settled = '';
  expect(await failureOf(() => run(contextWith(() => true)))).toMatchObject({
    code: 'TOKEN_REJECTED',
  });
  expect(done).toEqual([]);
});

test.each([[{}], [{ new_token: '' }], [{ new_token: 'two words' }], [{ new_token: 'pj1.abc' }]])(
  'what is no token is refused without being repeated: %j',
  (payload) => {
    expect(() => rotateTokenCommand.prepare(payload)).toThrow(
      /^Cannot run "rotate_token": new_token/,
    );
    expect(() => rotateTokenCommand.prepare(payload)).not.toThrow(/two words|pj1\.abc/);
  },
);
