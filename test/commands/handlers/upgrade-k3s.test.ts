import { beforeEach, expect, test } from 'bun:test';
import type { CommandContext } from '../../../src/commands/engine/handler.ts';
import { upgradeK3sCommand } from '../../../src/commands/handlers/upgrade-k3s.ts';
import { AgentError } from '../../../src/core/errors.ts';
import { effectivePolicy } from '../../../src/policy/effective.ts';
import { policyOf } from '../../../src/policy/evaluate.ts';
import { PolicyFile } from '../../../src/protocol/files/policy.ts';
import type { HelperRequest, LedK3s, LedNode } from '../../../src/protocol/helper.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const OLD = 'v1.36.3+k3s1';
const NEW = 'v1.37.0+k3s1';
const RESTARTS = new AgentError('KUBERNETES_API', 'It restarts', { hint: 'Wait' });

type State = LedNode['state'];
type Answer = readonly State[] | AgentError | 'none';

let asked: HelperRequest[];
let checkpoint: unknown;
let told: string[];
let nowMs: number;

beforeEach(() => {
  asked = [];
  checkpoint = undefined;
  told = [];
  nowMs = 0;
});

function led(states: readonly State[]): LedK3s {
  const nodes = states.map((state, index) => ({
    ...{ node: `node-${index + 1}`, role: 'server' as const, from: OLD, state },
    why: state === 'failed' ? 'no room' : null,
  }));
  return { state: 'led', to: NEW, drain: true, nodes };
}

/** @param answers of the helper, one after another; the last one stays */
function contextWith(answers: readonly Answer[], signal = new AbortController().signal) {
  const left = [...answers];
  const context: CommandContext = {
    ...unusedCommandDeps(),
    clock: {
      now: () => new Date(nowMs),
      monotonic: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
        return !signal.aborted;
      },
    },
    askHelper: async (request) => {
      asked.push(request);
      const answer = (left.length > 1 ? left.shift() : left[0]) ?? 'none';
      if (answer instanceof AgentError) {
        throw answer;
      }
      return answer === 'none' ? { state: 'none' } : { ...led(answer) };
    },
    newestK3s: async (channel) => (channel === 'stable' ? NEW : OLD),
    commandId: 'command-1',
    signal,
    stopping: signal,
    log: memoryLog(),
    checkpoint,
    setCheckpoint: async (value) => {
      checkpoint = value;
    },
    progress: (message) => void told.push(message),
  };
  return context;
}

const run = (context: CommandContext, payload: object = {}) =>
  upgradeK3sCommand.prepare(payload).run(context);
const verbs = () => asked.map(({ verb }) => verb.replace('upgrade_k3s', ''));

test('node by node, each when the one before has it', async () => {
  const outcome = await run(
    contextWith([
      'none',
      ['waits', 'waits'],
      ['asked', 'waits'],
      RESTARTS,
      ['begun', 'waits'],
      ['done', 'waits'],
      ['done', 'asked'],
      ['done', 'done'],
    ]),
  );
  expect(verbs()).toEqual(['_state', '', '_next', '_state', '_state', '_state', '_next', '_state']);
  expect(asked[1]).toEqual({
    ...{ verb: 'upgrade_k3s', command_id: 'command-1', version: NEW, drain: true },
  });
  expect(outcome).toEqual({
    output: `node-1: k3s ${NEW} in place of ${OLD}\nnode-2: k3s ${NEW} in place of ${OLD}`,
    data: {
      version: NEW,
      nodes: ['node-1', 'node-2'].map((node) => ({
        ...{ node, role: 'server', from: OLD, state: 'done', why: null },
      })),
    },
  });
  expect(told).toContain(`k3s ${NEW} on node-1: under way (0 of 2 nodes done)`);
  expect(told).toContain(
    `k3s ${NEW} on node-2: asked; a node looks once a minute (1 of 2 nodes done)`,
  );
  expect(checkpoint).toEqual({ to: NEW });
});

test('after a restart it goes on where the cluster is, with the version of before', async () => {
  checkpoint = { to: NEW };
  const outcome = await run(contextWith([RESTARTS, ['done', 'begun'], ['done', 'done']]), {
    channel: 'latest',
  });
  expect([verbs(), outcome.data]).toMatchObject([
    ['_state', '_state', '_state'],
    { version: NEW, nodes: [{ state: 'done' }, { state: 'done' }] },
  ]);
});

test('another server that takes it over asks there, and waits until the one that restarts is back', async () => {
  checkpoint = { to: NEW };
  const notReady = new AgentError('K3S_NOT_READY', 'node-1 is not ready', { hint: 'Wait' });
  await run(contextWith(['none', notReady, ['waits'], ['asked'], ['done']]));
  expect(verbs()).toEqual(['_state', '', '', '_next', '_state']);
});

test('what may not be is refused at once, and no other node is asked after one that failed', async () => {
  const refused = new AgentError('VERSION_REFUSED', 'Two minor versions', { hint: 'One first' });
  expect(await failureOf(() => run(contextWith(['none', refused])))).toBe(refused);
  asked = [];
  checkpoint = undefined;
  const outcome = await run(
    contextWith(['none', ['waits', 'waits'], ['asked', 'waits'], ['failed', 'waits']]),
  );
  expect(outcome).toMatchObject({
    data: { nodes: [{ state: 'failed', why: 'no room' }, { state: 'waits' }] },
    failure: { code: 'UPGRADE_FAILED', message: expect.stringContaining('node-1 says: no room') },
  });
  expect(verbs()).toEqual(['_state', '', '_next', '_state']);
});

test('a cancel halts before the next node', async () => {
  const cancel = new AbortController();
  const context = contextWith(
    [
      ['waits', 'waits'],
      ['begun', 'waits'],
    ],
    cancel.signal,
  );
  const sleep = context.clock.sleep;
  const cancelled: CommandContext = {
    ...context,
    clock: {
      ...context.clock,
      sleep: async (ms, signal) => {
        cancel.abort();
        return await sleep(ms, signal);
      },
    },
  };
  expect(await failureOf(() => run(cancelled))).toMatchObject({
    code: 'COMMAND_CANCELLED',
    message: `0 of 2 nodes have k3s ${NEW}; node-1 goes on by itself`,
    details: { nodes: [{ state: 'begun' }, { state: 'waits' }] },
  });
  expect(verbs()).toEqual(['_state', '_next']);
});

test.each([
  ['asked', 'node-1 has not begun; its agent may be stopped, or an older one', 5],
  ['begun', 'node-1 has not ended', 60],
] as const)('a node is not %s for ever', async (state, why, minutes) => {
  const outcome = await run(contextWith([[state]]));
  expect(outcome.failure?.message).toContain(why);
  expect(Math.abs(nowMs - minutes * 60_000)).toBeLessThan(10_000);
});

test('a cluster whose API stays away is given up', async () => {
  expect(await failureOf(() => run(contextWith([RESTARTS])))).toBe(RESTARTS);
  expect(nowMs).toBeGreaterThan(14 * 60_000);
});

test('a person is asked once, for all nodes', async () => {
  const policy = policyOf(effectivePolicy(PolicyFile.parse({})));
  const context = contextWith(['none', ['waits'], ['asked'], ['done']]);
  await run({ ...context, policy });
  expect(asked.map((request) => [request.verb, 'ask' in request])).toEqual([
    ['upgrade_k3s_state', false],
    ['upgrade_k3s', true],
    ['upgrade_k3s_next', false],
    ['upgrade_k3s_state', false],
  ]);
});

test('a cluster that has it already is no change', async () => {
  expect(await run(contextWith(['none', []]))).toMatchObject({
    output: `k3s ${NEW} runs already`,
    data: { version: NEW, nodes: [] },
  });
});

test.each([[{ version: '1.37' }], [{ channel: 'newest' }], [{ node: 'A b' }], [{ drain: 1 }]])(
  '%j is refused',
  (payload) => {
    expect(() => upgradeK3sCommand.prepare(payload)).toThrow('Cannot run "upgrade_k3s"');
  },
);
