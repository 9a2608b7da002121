import { expect, test } from 'bun:test';
import { countingPolicy } from '../../src/policy/counting.ts';
import { ALLOWED, refused } from '../../src/policy/decision.ts';

test('countingPolicy() gives the decisions of the other and counts refusals, but not of routes', () => {
  const no = refused('exec', 'Nobody may');
  const noted: string[] = [];
  const inner: Parameters<typeof countingPolicy>[0] = {
    command: ({ type }) => (type === 'exec' ? no : ALLOWED),
    isAsked: (verb) => verb === 'snapshot',
    windowsAhead: () => undefined,
    access: () => no,
    object: () => ALLOWED,
    request: () => no,
    reach: () => no,
    kubernetesApi: () => no,
  };
  const { policy, refusals } = countingPolicy(inner, {
    note: (kind, about, { rule }) => noted.push(`${kind}: ${about} (${rule})`),
  });
  const access = { verb: 'get', group: '', resource: 'pods', subresource: '' };
  expect([
    policy.command({ type: 'exec' }),
    policy.command({ type: 'deploy' }),
    policy.access({ ...access, namespace: 'a', name: 'b' }),
    policy.object({}),
    policy.request('GET', '/', false),
    policy.request('GET', '/api/v1/pods?fieldSelector=secret', false),
    policy.reach('a'),
    policy.kubernetesApi(),
    policy.isAsked('snapshot'),
    policy.isAsked('join_token'),
  ]).toEqual([no, ALLOWED, no, ALLOWED, no, no, no, no, true, false]);
  expect(noted).toEqual([
    'command: exec (exec)',
    'access: get pods a/b (exec)',
    'request: GET / (exec)',
    'request: GET /api/v1/pods (exec)',
  ]);
  expect(refusals()).toEqual({ command: 1, access: 1, object: 0, request: 2 });
});
