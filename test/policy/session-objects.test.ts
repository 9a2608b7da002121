/** What the servers share of the session is out of the control plane's reach, whatever the policy says. */
import { expect, test } from 'bun:test';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { POLICY_PRESETS } from '../../src/protocol/files/policy-presets.ts';

const READING = `secrets: {read: true}
tunnel: {kubernetes_api: true}
resources: [{group: coordination.k8s.io, resource: leases}]
`;
const EVERYTHING = `exec: true
attach: true
port_forward: true
secrets: {read: true, write: true}
tunnel: {kubernetes_api: true}
pod_security: privileged
resources: [{group: coordination.k8s.io, resource: leases, write: true}]
`;
const SYSTEM = '/api/v1/namespaces/pipeops-system';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/pipeops-system/leases';
const WRITING = ['PUT', 'PATCH', 'POST', 'DELETE'];

/** Method and target of each request that must not get through. */
const REQUESTS: readonly (readonly [string, string])[] = [
  ...['GET', ...WRITING].flatMap((method) => [
    [method, `${SYSTEM}/secrets/pipeops-agent-session`] as const,
    [method, `${SYSTEM}/secrets`] as const,
    [method, '/api/v1/secrets'] as const,
  ]),
  ['GET', `${SYSTEM}/secrets?watch=true`],
  ['GET', '/api/v1/watch/namespaces/pipeops-system/secrets'],
  ['GET', '/api/v1/secrets?fieldSelector=metadata.name%3Dpipeops-agent-session'],
  ...WRITING.flatMap((method) => [
    [method, `${LEASES}/pipeops-agent`] as const,
    [method, `${SYSTEM}/configmaps/pipeops-agent-settings`] as const,
    [method, `${SYSTEM}/configmaps/pipeops-agent-policy`] as const,
    // A pod there could mount the Secret.
    [method, `${SYSTEM}/pods/any`] as const,
  ]),
  ['POST', `${SYSTEM}/pods/any/exec?command=cat`],
];

test.each([...POLICY_PRESETS])('%s with every switch reaches none of it', (preset) => {
  // A preset that changes nothing takes no switch that would.
  const text = `preset: ${preset}\n${preset === 'read-only' ? READING : EVERYTHING}`;
  const policy = policyOf(effectivePolicy(parsePolicyFile(text, 'policy.yaml')));
  const reached = REQUESTS.filter(
    ([method, target]) => policy.request(method, target, false).allowed,
  );
  expect(reached).toEqual([]);
  const commands = ['deploy', 'update', 'apply', 'delete', 'exec'].filter(
    (type) => policy.command({ type, namespace: 'pipeops-system' }).allowed,
  );
  expect(commands).toEqual([]);
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'];
  const session = { group: '', resource: 'secrets', subresource: '', namespace: 'pipeops-system' };
  const allowed = verbs.filter(
    (verb) => policy.access({ ...session, verb, name: 'pipeops-agent-session' }).allowed,
  );
  expect(allowed).toEqual([]);
});
