/** Servers that want to restart their k3s: one at a time, and only while all others are ready. */
import { expect, test } from 'bun:test';
import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../../../src/core/errors.ts';
import { ApiRejection } from '../../../src/kubernetes/api/rejection.ts';
import { restartTurn, TURN_MS_MAX } from '../../../src/kubernetes/lease/restart-turn.ts';
import type { NodeState } from '../../../src/kubernetes/nodes/states.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';

const { signal } = new AbortController();

function node(name: string, more: Partial<NodeState> = {}): NodeState {
  return { name, isServer: true, addresses: [], notReady: undefined, shortOf: [], ...more };
}

interface StoredLease extends KubernetesObject {
  readonly spec?: { readonly holderIdentity?: string };
}

function cluster(nodes: readonly NodeState[] | undefined) {
  const clock = manualClock();
  let stored: StoredLease = { metadata: { name: 'restart', resourceVersion: '1' } };
  const client = {
    find: async <T extends KubernetesObject>() => structuredClone(stored) as unknown as T,
    replace: async <T extends KubernetesObject>(_: string, object: T) => {
      const version = stored.metadata?.resourceVersion;
      if (object.metadata?.resourceVersion !== version) {
        throw new ApiRejection('KUBERNETES_API', 'x', { status: 409, reason: 'Conflict' }, 'y');
      }
      const resourceVersion = String(Number(version) + 1);
      stored = structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion } });
      return structuredClone(stored) as unknown as never;
    },
  };
  return {
    clock,
    holder: () => stored.spec?.holderIdentity ?? '',
    turnOf: (name: string) =>
      restartTurn({ clock, log: memoryLog(), client, nodes: () => nodes }, name),
  };
}

const THREE = [node('one'), node('two'), node('three'), node('worker', { isServer: false })];

test('one server at a time has the turn, and gives it back when its work is done', async () => {
  const { turnOf, holder } = cluster(THREE);
  const answers: unknown[] = [];
  const first = await turnOf('one').run(async () => {
    answers.push(holder());
    answers.push(await turnOf('two').run(async () => void answers.push('two'), signal));
  }, signal);
  expect([first, holder()]).toEqual([undefined, '']);
  expect(await turnOf('two').run(async () => void answers.push('two'), signal)).toBeUndefined();
  expect(answers).toEqual(['one_restart', 'server "one" restarts its k3s', 'two']);
});

test.each([
  ['are not known', undefined, 'it is not known how the other servers are'],
  ['do not have this one', [node('two')], 'it is not known how the other servers are'],
  [
    'are not all ready',
    [node('one'), node('two', { notReady: { since: null, reason: 'x' } })],
    'server "two" is not ready',
  ],
])("while the servers %s, it is nobody's turn", async (_, nodes, why) => {
  const { turnOf, holder } = cluster(nodes);
  const work = async () => {
    throw new Error('It must not run');
  };
  expect(await turnOf('one').run(work, signal)).toBe(why);
  expect(holder()).toBe('');
});

test('a server without others needs no turn', async () => {
  const { turnOf, holder } = cluster([node('one'), node('worker', { isServer: false })]);
  const holders: string[] = [];
  expect(await turnOf('one').run(async () => void holders.push(holder()), signal)).toBeUndefined();
  expect(holders).toEqual(['']);
});

test('a turn whose work failed is kept, until its server looks again or an hour has passed', async () => {
  const { turnOf, holder, clock } = cluster(THREE);
  const failing = async () => {
    throw new AgentError('TOOL_FAILED', 'k3s does not start', { hint: 'Look' });
  };
  expect(await failureOf(() => turnOf('one').run(failing, signal))).toMatchObject({
    code: 'TOOL_FAILED',
  });
  expect(holder()).toBe('one_restart');
  await turnOf('two').giveBack(signal);
  expect(holder()).toBe('one_restart');
  clock.advance(TURN_MS_MAX + 1);
  expect(await turnOf('two').run(async () => undefined, signal)).toBeUndefined();
  await failureOf(() => turnOf('one').run(failing, signal));
  await turnOf('one').giveBack(signal);
  expect(holder()).toBe('');
});
