/** Commands that root's helper carries out. */
import { expect, test } from 'bun:test';
import type { CommandContext } from '../../../src/commands/engine/handler.ts';
import { resultOfOutcome } from '../../../src/commands/engine/result.ts';
import { joinTokenCommand } from '../../../src/commands/handlers/join-token.ts';
import { supportBundleCommand } from '../../../src/commands/handlers/support-bundle.ts';
import { AgentError } from '../../../src/core/errors.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { effectivePolicy } from '../../../src/policy/effective.ts';
import { policyOf } from '../../../src/policy/evaluate.ts';
import { stricterOf } from '../../../src/policy/stricter.ts';
import { PolicyFile } from '../../../src/protocol/files/policy.ts';
import { encodeJoinToken } from '../../../src/protocol/secrets/join-token.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const { signal } = new AbortController();
const TIMES = { attempts: 1, startedAt: null, finishedAt: new Date(0), durationMs: 1 };

function contextWith(askHelper: CommandContext['askHelper']): CommandContext {
  return {
    ...unusedCommandDeps(),
    clock: systemClock,
    askHelper,
    commandId: 'command-1',
    signal,
    stopping: signal,
    log: memoryLog(),
    checkpoint: undefined,
    setCheckpoint: async () => undefined,
    progress: () => undefined,
  };
}

const token = encodeJoinToken({
  v: 1,
  servers: ['https://10.0.0.1:6443'],
  ca: '-----BEGIN CERTIFICATE-----\n',
  token: 'abcdef.0123456789abcdef',
  role: 'agent',
  expires: null,
});
const minted = {
  id: 'abcdef',
  role: 'agent',
  expires: '2026-01-01T00:15:00.000Z',
  servers: ['https://10.0.0.1:6443'],
};

test('join_token asks the helper by the id of the command, and its result has the token whole', async () => {
  const asked: unknown[] = [];
  const context = contextWith(async (request) => {
    asked.push(request);
    return { ...minted, token };
  });
  const outcome = await joinTokenCommand.prepare({}).run(context);
  expect(asked).toEqual([
    { verb: 'mint_join_token', command_id: 'command-1', role: 'agent', ttl_seconds: 900 },
  ]);
  const { success, output, data } = resultOfOutcome(outcome, TIMES);
  expect({ success, output, data }).toEqual({
    success: true,
    output:
      'The join token abcdef lets one machine join as a worker until 2026-01-01T00:15:00.000Z',
    data: { ...minted, token },
  });
});

test('the token of a server is not asked for where only that of a worker is allowed', async () => {
  const asked: unknown[] = [];
  const file = PolicyFile.parse({ preset: 'standard', host: { join_token: 'allow' } });
  const context = {
    ...contextWith(async (request) => {
      asked.push(request);
      return { ...minted, token };
    }),
    policy: policyOf(effectivePolicy(file)),
  };
  const refused = await failureOf(() => joinTokenCommand.prepare({ role: 'server' }).run(context));
  expect(refused).toMatchObject({
    code: 'POLICY_DENIED',
    details: { rule: 'standard/host.server_token' },
  });
  expect(asked).toEqual([]);
  await joinTokenCommand.prepare({}).run(context);
  expect(asked).toHaveLength(1);
});

test('a person is asked where root wants that on either server', async () => {
  const asked: unknown[] = [];
  const of = (host: unknown) => policyOf(effectivePolicy(PolicyFile.parse({ host })));
  const run = async (own: unknown, applied: unknown) => {
    const askHelper: CommandContext['askHelper'] = async (request) => {
      asked.push('ask' in request && request.ask);
      return { ...minted, token };
    };
    const policy = stricterOf(of(own), () => of(applied));
    await joinTokenCommand.prepare({}).run({ ...contextWith(askHelper), policy });
  };
  await run({ join_token: 'allow' }, { join_token: 'ask' });
  await run({ join_token: 'ask' }, { join_token: 'allow' });
  await run({ join_token: 'allow' }, { join_token: 'allow', server_token: 'ask' });
  expect(asked).toEqual([true, true, false]);
});

test('what the helper refuses is what the command answers', async () => {
  const refusal = new AgentError('POLICY_DENIED', 'The local policy says no', { hint: 'Ask root' });
  const context = contextWith(() => Promise.reject(refusal));
  expect(await failureOf(() => joinTokenCommand.prepare({}).run(context))).toBe(refusal);
});

test('a command waits while a person decides, says so once, and goes on with their yes', async () => {
  const needed = new AgentError('APPROVAL_NEEDED', 'A person must approve it: 4f9c2a1b', {
    hint: 'Run there: sudo pipeops-agent host approve 4f9c2a1b',
    details: { id: '4f9c2a1b' },
  });
  let questions = 0;
  const told: unknown[] = [];
  const context: CommandContext = {
    ...contextWith(async () => {
      questions += 1;
      if (questions < 3) {
        throw needed;
      }
      return { ...minted, token };
    }),
    clock: { ...systemClock, sleep: async () => true },
    progress: (message, data) => void told.push([message, data]),
  };
  expect(await joinTokenCommand.prepare({}).run(context)).toMatchObject({ revealed: { token } });
  expect(told).toEqual([
    [
      'A person must approve it: 4f9c2a1b. Run there: sudo pipeops-agent host approve 4f9c2a1b',
      { id: '4f9c2a1b' },
    ],
  ]);
  const late: CommandContext = {
    ...contextWith(() => Promise.reject(needed)),
    clock: { ...systemClock, sleep: async () => false },
  };
  expect(await failureOf(() => joinTokenCommand.prepare({}).run(late))).toBe(needed);
});

test('a command waits for its time of the week, asks nobody before, and can be cancelled meanwhile', async () => {
  const asked: unknown[] = [];
  const told: unknown[] = [];
  let now = new Date('2026-01-05T01:59:50Z');
  const file = PolicyFile.parse({
    host: { join_token: 'allow' },
    windows: { join_token: ['mon 02:00-03:00'] },
  });
  const context: CommandContext = {
    ...contextWith(async () => {
      asked.push(now.toISOString());
      return { ...minted, token };
    }),
    clock: {
      ...systemClock,
      now: () => now,
      sleep: async (ms) => {
        now = new Date(now.getTime() + ms);
        return true;
      },
    },
    policy: policyOf(effectivePolicy(file)),
    progress: (message) => void told.push(message),
  };
  await joinTokenCommand.prepare({}).run(context);
  expect({ asked, told }).toEqual({
    asked: ['2026-01-05T02:00:05.000Z'],
    told: ['It waits: "join_token" has its time: mon 02:00-03:00'],
  });
  now = new Date('2026-01-06T02:30:00Z');
  const late = { ...context, clock: { ...context.clock, sleep: async () => false } };
  expect(await failureOf(() => joinTokenCommand.prepare({}).run(late))).toMatchObject({
    code: 'OUTSIDE_WINDOW',
  });
  expect(asked).toHaveLength(1);
});

test('support_bundle tells where its file is, and nothing of what is in it', async () => {
  const made = {
    name: 'support-2026-01-01T00-00-00Z-0123456789ab',
    path: '/var/lib/pipeops-agent-host/support-bundles/support.tar.gz',
    ...{ created: '2026-01-01T00:00:00Z', bytes: 1_000, sha256: 'a'.repeat(64), node: 'node-1' },
  };
  const asked: unknown[] = [];
  const context = contextWith(async (request) => {
    asked.push(request);
    return made;
  });
  expect(await supportBundleCommand.prepare({}).run(context)).toEqual({
    output: `The support bundle is on node-1: ${made.path} (1000 bytes)`,
    data: made,
  });
  expect(asked).toEqual([{ verb: 'support_bundle', command_id: 'command-1' }]);
});

test.each([[{ role: 'admin' }], [{ ttl_seconds: 59 }], [{ ttl_seconds: 604_801 }], [{ uses: 5 }]])(
  'join_token refuses %j',
  (payload) => {
    expect(() => joinTokenCommand.prepare(payload)).toThrow('Cannot run "join_token"');
  },
);
