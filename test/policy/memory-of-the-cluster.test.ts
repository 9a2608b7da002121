/** What a control plane that was taken over can reach of the memory that the agents of a cluster share. */
import { expect, test } from 'bun:test';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { POLICY_COMMANDS } from '../../src/protocol/files/policy.ts';
import { POLICY_PRESETS } from '../../src/protocol/files/policy-presets.ts';

const NAMESPACE = 'pipeops-system';
const NAME = 'pipeops-agent-memory-0123456789abcdef';
const SECRETS = `/api/v1/namespaces/${NAMESPACE}/secrets`;
/** All that a file may open; a preset that only reads takes just the last line. */
const OPEN = 'exec: true\nattach: true\nport_forward: true\npod_security: privileged\n';
const policies = POLICY_PRESETS.flatMap((preset) => [
  { preset, how: 'as it is', text: '' },
  {
    preset,
    how: 'opened as far as a file can',
    text:
      preset === 'read-only'
        ? 'secrets: {read: true}'
        : `${OPEN}secrets: {read: true, write: true}`,
  },
]);

test.each(policies)('nothing of it, under $preset $how', ({ preset, text }) => {
  const policy = policyOf(effectivePolicy(parsePolicyFile(`preset: ${preset}\n${text}`, 'p')));
  const requests: readonly (readonly [string, string])[] = [
    ['GET', SECRETS],
    ['GET', `${SECRETS}?watch=true`],
    ['GET', `/api/v1/watch/namespaces/${NAMESPACE}/secrets`],
    ['GET', '/api/v1/secrets'],
    ['GET', `/api/v1/secrets?fieldSelector=metadata.namespace=${NAMESPACE}`],
    ['GET', `${SECRETS}/${NAME}`],
    ['GET', `/api/v1/namespaces/shop/../${NAMESPACE}/secrets/${NAME}`],
    ['GET', `/api/v1/namespaces/pipeops%2Dsystem/secrets/${NAME}`],
    ['POST', SECRETS],
    ['PUT', `${SECRETS}/${NAME}`],
    ['PATCH', `${SECRETS}/${NAME}`],
    ['DELETE', `${SECRETS}/${NAME}`],
    ['DELETE', SECRETS],
    ['DELETE', `/api/v1/namespaces/${NAMESPACE}`],
    ['POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/pipeops-agent-memory/token`],
    ['POST', `/api/v1/namespaces/${NAMESPACE}/pods`],
    ['PUT', `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/pipeops-agent`],
  ];
  const allowed = requests.filter(
    ([method, target]) => policy.request(method, target, false).allowed,
  );
  expect(allowed).toEqual([]);
  const access = {
    group: '',
    resource: 'secrets',
    subresource: '',
    namespace: NAMESPACE,
    name: NAME,
  };
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
  expect(verbs.filter((verb) => policy.access({ ...access, verb }).allowed)).toEqual([]);
  const commands = POLICY_COMMANDS.filter(
    (type) => policy.command({ type, namespace: NAMESPACE }).allowed,
  );
  // They look at what is asked about as `access` above: never at a Secret there.
  expect(commands.filter((type) => type !== 'get_resources' && type !== 'logs')).toEqual([]);
});
