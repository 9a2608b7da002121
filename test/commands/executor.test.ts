import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { commandExecutor, RUNNING_MAX } from '../../src/commands/executor.ts';
import { type CommandContext, commandHandler } from '../../src/commands/handler.ts';
import { commandProgress } from '../../src/commands/progress.ts';
import { AgentError } from '../../src/core/errors.ts';
import type { Command, CommandResult } from '../../src/protocol/rest.ts';
import { memoryLog } from '../support/memory-log.ts';
import { openJournal } from '../support/open-journal.ts';
import { unusedCommandDeps } from '../support/unused-command-deps.ts';

type Work = (context: CommandContext) => Promise<string>;

/** An executor with one type of handler for each piece of work. */
async function startEngine(work: Readonly<Record<string, Work>>) {
  const open = openJournal();
  const { clock, journal } = open;
  const log = memoryLog();
  const handlers = Object.entries(work).map(([type, run]) =>
    commandHandler({
      type,
      payload: z.looseObject({ lane: z.string() }),
      data: z.strictObject({}),
      lane: ({ lane }) => lane,
      priority: type === 'urgent' ? 'urgent' : 'normal',
      timeoutMs: () => 60_000,
      afterRestart: 'rerun',
      run: async (_, context) => ({ output: await run(context), data: {} }),
    }),
  );
  const executor = commandExecutor({
    ...unusedCommandDeps(),
    ...{ clock, journal, log, handlers, progress: commandProgress({ clock }) },
  });
  const stop = new AbortController();
  const { done } = await executor.start(stop.signal);
  return {
    ...{ clock, journal, log },
    accept: (id: string, type: string, more: Partial<Command> = {}) =>
      journal.accept({ id, type, payload: { lane: id }, ...more }),
    result: async (id: string): Promise<CommandResult> => {
      for (;;) {
        const found = journal.pending(100).find((each) => each.commandId === id);
        if (found !== undefined) {
          return found.result;
        }
        await journal.whenPending(stop.signal);
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      open[Symbol.dispose]();
    },
  };
}

const untilAborted: Work = ({ signal }) =>
  new Promise((_, reject) => {
    const say = () =>
      reject(new AgentError('COMMAND_CANCELLED', '1 of 2 done', { details: { done: 1 } }));
    signal.addEventListener('abort', say, { once: true });
  });

describe('commandExecutor()', () => {
  test('answers a cancelled command with how far it came', async () => {
    await using engine = await startEngine({ wait: untilAborted });
    await engine.accept('c1', 'wait');
    await engine.clock.whenSleeping(1);
    expect(await engine.journal.cancel('c1')).toBe('cancelling');
    const { error_code, error, data } = await engine.result('c1');
    expect({ error_code, error, data }).toEqual({
      error_code: 'COMMAND_CANCELLED',
      error: '"wait" was cancelled while it ran: 1 of 2 done',
      data: { done: 1 },
    });
  });

  test('cancels a command that waits without waiting for its lane', async () => {
    await using engine = await startEngine({ wait: untilAborted });
    await engine.accept('c1', 'wait');
    await engine.accept('c2', 'wait', { payload: { lane: 'c1' } });
    await engine.clock.whenSleeping(1);
    await engine.journal.cancel('c2');
    const { error_code, metadata } = await engine.result('c2');
    expect({ error_code, attempts: metadata.attempts }).toEqual({
      error_code: 'COMMAND_CANCELLED',
      attempts: 0,
    });
  });

  test('answers TIMEOUT at the deadline of the command', async () => {
    await using engine = await startEngine({ wait: untilAborted });
    await engine.accept('c1', 'wait', { timeout_seconds: 5 });
    await engine.clock.whenSleeping(1);
    engine.clock.advance(5_000);
    expect((await engine.result('c1')).error_code).toBe('TIMEOUT');
  });

  test('answers for a handler that does not stop, and keeps its lane closed', async () => {
    const ran: string[] = [];
    const end = Promise.withResolvers<string>();
    await using engine = await startEngine({
      deaf: () => end.promise,
      quick: async ({ commandId }) => {
        ran.push(commandId);
        return 'done';
      },
    });
    await engine.accept('c1', 'deaf');
    await engine.accept('c2', 'quick', { payload: { lane: 'c1' } });
    await engine.clock.whenSleeping(1);
    engine.clock.advance(60_000);
    await engine.clock.whenSleeping(1);
    await new Promise((resolve) => setImmediate(resolve));
    engine.clock.advance(10_000);
    expect((await engine.result('c1')).error_code).toBe('TIMEOUT');
    expect(ran).toEqual([]);
    end.resolve('late');
    expect((await engine.result('c2')).success).toBeTrue();
  });

  test('runs urgent commands although every place for others is taken', async () => {
    await using engine = await startEngine({ wait: untilAborted, urgent: async () => 'read' });
    for (let index = 0; index < RUNNING_MAX.normal + 1; index += 1) {
      await engine.accept(`c${index}`, 'wait');
    }
    await engine.accept('read', 'urgent');
    expect((await engine.result('read')).output).toBe('read');
    expect(engine.journal.counts()).toMatchObject({ accepted: 1, running: RUNNING_MAX.normal });
  });

  test('answers INTERNAL for a handler that throws, and goes on', async () => {
    await using engine = await startEngine({
      broken: () => Promise.reject(new TypeError('a bug')),
      quick: async () => 'done',
    });
    await engine.accept('c1', 'broken');
    await engine.accept('c2', 'quick');
    expect((await engine.result('c1')).error_code).toBe('INTERNAL');
    expect((await engine.result('c2')).success).toBeTrue();
  });

  test('lets no secret of the payload be seen in results and logs', async () => {
    await using engine = await startEngine({
      tell: async ({ log }) => {
        log.info('told', { text: 'with hunter22-secret' });
        return 'the password is hunter22-secret';
      },
    });
    const environment = { DB_PASSWORD: 'hunter22-secret' };
    await engine.accept('c1', 'tell', { payload: { lane: 'c1', environment } });
    expect((await engine.result('c1')).output).toBe('the password is [redacted]');
    expect(JSON.stringify(engine.log.entries)).not.toContain('hunter22-secret');
  });
});
