import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import {
  commandExecutor,
  type EndedCommand,
  HUNG_HANDLER_MS,
  RUNNING_MAX,
} from '../../../src/commands/engine/executor.ts';
import { type CommandContext, commandHandler } from '../../../src/commands/engine/handler.ts';
import { commandProgress } from '../../../src/commands/engine/progress.ts';
import { ATTEMPTS_MAX } from '../../../src/commands/engine/runnable.ts';
import { AgentError, toAgentError } from '../../../src/core/errors.ts';
import type { LogFields } from '../../../src/core/ports.ts';
import type { Command, CommandResult } from '../../../src/protocol/rest.ts';
import { HELD_COMMANDS_MAX } from '../../../src/store/journal/changes.ts';
import type { CommandJournal } from '../../../src/store/journal/commands.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { openJournal } from '../../support/open-journal.ts';
import { until } from '../../support/until.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

type Work = (context: CommandContext) => Promise<string>;

/**
 * An executor with one type of handler for each piece of work.
 * @param before what the journal goes through before it starts
 */
async function startEngine(
  work: Readonly<Record<string, Work>>,
  before: (journal: CommandJournal) => Promise<void> = async () => undefined,
) {
  const open = openJournal();
  const { clock } = open;
  const reads: string[] = [];
  const loads: string[] = [];
  const told: EndedCommand[] = [];
  const journal: CommandJournal = {
    ...open.journal,
    nextOpen: (sequence) => {
      reads.push('nextOpen');
      return open.journal.nextOpen(sequence);
    },
    find: (id) => {
      reads.push('find');
      return open.journal.find(id);
    },
  };
  await before(journal);
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
    clock,
    journal,
    log,
    progress: commandProgress({ clock }),
    ended: (command) => void told.push(command),
    loadHandlers: async () => {
      loads.push('handlers');
      return handlers;
    },
  });
  const stop = new AbortController();
  const { done } = await executor.start(stop.signal);
  const ended = done.then(
    () => undefined,
    (thrown) => toAgentError(thrown),
  );
  return {
    clock,
    journal,
    log,
    reads,
    loads,
    told,
    ended,
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
      await ended;
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

const byId = (a: LogFields, b: LogFields) =>
  String(a['command_id']).localeCompare(String(b['command_id']));

describe('commandExecutor()', () => {
  test('loads the handlers when the first command comes, once', async () => {
    await using engine = await startEngine({ work: async () => 'done' });
    await until('the executor looks', () => engine.reads.includes('nextOpen'));
    const before = [...engine.loads];

    for (const id of ['a', 'b']) {
      await engine.accept(id, 'work');
      await engine.result(id);
    }

    expect({ before, after: engine.loads }).toEqual({ before: [], after: ['handlers'] });
  });

  test('tells how each command ended, also one that never ran', async () => {
    const work = async () => 'done';
    const fail = () => Promise.reject(new Error('broken'));
    await using engine = await startEngine({ work, fail, wait: untilAborted });
    for (const [id, type] of [
      ['a', 'work'],
      ['b', 'fail'],
      ['c', 'unheard-of'],
    ] as const) {
      await engine.accept(id, type);
      await engine.result(id);
    }
    await engine.accept('d', 'wait');
    await engine.clock.whenSleeping(1);
    await engine.journal.cancel('d');
    await until('all are told', () => engine.told.length === 4);
    expect(engine.told).toEqual([
      { id: 'a', type: 'work', outcome: 'succeeded', durationMs: 0 },
      { id: 'b', type: 'fail', outcome: 'failed', durationMs: 0 },
      { id: 'c', type: 'unheard-of', outcome: 'refused', durationMs: 0 },
      { id: 'd', type: 'wait', outcome: 'cancelled', durationMs: 0 },
    ]);
  });

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

  test('says in the log what failed, of what, and why, without its secrets', async () => {
    const fail: Work = async () => {
      throw new AgentError('KUBERNETES_API', `no room for hunter22-secret ${'x'.repeat(2_000)}`, {
        hint: 'Look',
      });
    };
    await using engine = await startEngine({ fail });
    const payload = { lane: 'l', namespace: 'shop', name: 'web', password: 'hunter22-secret' };
    await engine.accept('c1', 'fail', { payload });
    await engine.accept('c2', 'absent', { payload: { node: 'node-1' } });
    await engine.result('c1');
    await engine.result('c2');
    const failed = engine.log.entries.filter(({ message }) => message === 'command failed');
    const lines: readonly Record<string, unknown>[] = failed
      .map(({ fields }) => ({ ...fields, duration_ms: 0 }))
      .toSorted(byId);
    expect(lines).toEqual([
      {
        command_id: 'c1',
        command_type: 'fail',
        target: 'shop/web',
        attempts: 1,
        error_code: 'KUBERNETES_API',
        error: `no room for [redacted] ${'x'.repeat(477)}`,
        duration_ms: 0,
      },
      {
        command_id: 'c2',
        command_type: 'absent',
        target: 'node-1',
        attempts: 0,
        error_code: 'COMMAND_UNSUPPORTED',
        error: expect.stringContaining('"absent"'),
        duration_ms: 0,
      },
    ]);
  });

  test('does not say that it never ran of what another version has begun and this one does not know', async () => {
    const before = async (journal: CommandJournal) => {
      for (const [id, type, payload] of [
        ['c1', 'absent', {}],
        ['c2', 'known', {}],
      ] as const) {
        await journal.accept({ id, type, payload });
        await journal.begin(id);
      }
      await journal.accept({ id: 'c3', type: 'absent', payload: {} });
    };
    await using engine = await startEngine({ known: async () => 'done' }, before);
    const codes = ['c1', 'c2', 'c3'].map(async (id) => (await engine.result(id)).error_code);
    expect(await Promise.all(codes)).toEqual([
      'COMMAND_OUTCOME_UNKNOWN',
      'COMMAND_OUTCOME_UNKNOWN',
      'COMMAND_UNSUPPORTED',
    ]);
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

  test('answers for handlers that do not stop, gives their places away, and keeps their lanes closed', async () => {
    const ran: string[] = [];
    const end = Promise.withResolvers<string>();
    await using engine = await startEngine({
      deaf: () => end.promise,
      quick: async ({ commandId }) => {
        ran.push(commandId);
        return 'done';
      },
    });
    for (let index = 1; index <= RUNNING_MAX.normal; index += 1) {
      await engine.accept(`c${index}`, 'deaf');
    }
    await engine.accept('same-lane', 'quick', { payload: { lane: 'c1' } });
    await engine.accept('other-lane', 'quick');
    await engine.clock.whenSleeping(RUNNING_MAX.normal);
    engine.clock.advance(60_000);
    await engine.clock.whenSleeping(RUNNING_MAX.normal);
    engine.clock.advance(10_000);
    expect((await engine.result('c1')).error_code).toBe('TIMEOUT');
    expect((await engine.result('other-lane')).success).toBeTrue();
    expect(ran).toEqual(['other-lane']);
    end.resolve('late');
    expect((await engine.result('same-lane')).success).toBeTrue();
  });

  test('ends the daemon, the only thing that ends a handler for sure, when one hangs', async () => {
    await using engine = await startEngine({ deaf: () => new Promise(() => undefined) });
    await engine.accept('c1', 'deaf', { timeout_seconds: 1 });
    await engine.clock.whenSleeping(1);
    engine.clock.advance(1_000);
    await engine.clock.whenSleeping(1);
    engine.clock.advance(10_000);
    expect((await engine.result('c1')).error_code).toBe('TIMEOUT');
    await engine.clock.whenSleeping(1);
    engine.clock.advance(HUNG_HANDLER_MS - 1);
    expect(Bun.peek.status(engine.ended)).toBe('pending');
    engine.clock.advance(1);
    const { code, message } = (await engine.ended) ?? {};
    expect({ code, message }).toEqual({
      code: 'INTERNAL',
      message: 'The command c1 does not stop; the agent restarts',
    });
  });

  test('lets a command go that was begun too often and never ended', async () => {
    const ran: string[] = [];
    const work = { quick: async ({ commandId }: CommandContext) => String(ran.push(commandId)) };
    await using engine = await startEngine(work, async (journal) => {
      for (const [id, attempts] of Object.entries({ last: ATTEMPTS_MAX - 1, over: ATTEMPTS_MAX })) {
        await journal.accept({ id, type: 'quick', payload: { lane: id } });
        for (let attempt = 1; attempt <= attempts; attempt += 1) {
          await journal.begin(id);
        }
      }
    });
    const { error_code, metadata } = await engine.result('over');
    expect({ error_code, attempts: metadata.attempts }).toEqual({
      error_code: 'COMMAND_OUTCOME_UNKNOWN',
      attempts: ATTEMPTS_MAX,
    });
    expect((await engine.result('last')).metadata.attempts).toBe(ATTEMPTS_MAX);
    expect(ran).toEqual(['last']);
  });

  test('looks at none of thousands that wait when another one comes', async () => {
    const payload = { lane: 'one' };
    const all = HELD_COMMANDS_MAX - 1;
    await using engine = await startEngine({ wait: untilAborted }, async (journal) => {
      const accepted = Array.from({ length: all }, (_, index) =>
        journal.accept({ id: `c${index}`, type: 'wait', payload }),
      );
      await Promise.all(accepted);
    });
    while (engine.reads.length < all + 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Each once, and what tells that there are no more; twice where the journal rang meanwhile.
    const looks = engine.reads.filter((each) => each === 'nextOpen').length;
    expect(looks).toBeLessThanOrEqual(all + 2);
    engine.reads.length = 0;
    await engine.accept('read', 'wait', { payload });
    await engine.journal.cancel('read');
    await engine.result('read');
    expect(engine.reads.length).toBeLessThan(10);
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
