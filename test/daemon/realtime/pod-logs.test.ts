import { expect, test } from 'bun:test';
import { podLogs } from '../../../src/daemon/realtime/pod-logs.ts';
import { type AccessRequest, refused } from '../../../src/policy/decision.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();
const QUERY = {
  ...{ namespace: 'shop', pod: 'web-1', tail: 1, previous: false, follow: true },
};
const notAsked = () => Promise.reject(new Error('not asked for'));

test('what the policy refuses is not read, and takes no place', async () => {
  const asked: AccessRequest[] = [];
  const { source } = podLogs({
    clock: manualClock(),
    kubernetes: { get: notAsked, openBytes: notAsked },
    policy: {
      access: (request) => {
        asked.push(request);
        return refused('namespaces.deny', 'not there');
      },
    },
  });
  for (let count = 0; count < 100; count += 1) {
    const failure = await failureOf(() => source.open(QUERY, signal));
    expect(failure.code).toBe('POLICY_DENIED');
  }
  expect(asked[0]).toEqual({
    ...{ verb: 'get', group: '', resource: 'pods', subresource: 'log' },
    ...{ namespace: 'shop', name: 'web-1' },
  });
});
