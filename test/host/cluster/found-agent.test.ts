import { expect, test } from 'bun:test';
import { findObjects, hasFoundAgent } from '../../../src/host/cluster/found-agent.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { failureOf } from '../../support/failure-of.ts';

/** A machine whose kubectl answers this. */
const answering = (exitCode: number, stdout: string, stderr = '') =>
  factDeps('/', { exec: { run: async () => ({ exitCode, stdout, stderr }) } });

test('an agent in the cluster is there or not', async () => {
  const there = answering(0, 'deployment.apps/pipeops-agent\n');
  expect(await hasFoundAgent(there, 'pipeops-system')).toBe(true);
  expect(await hasFoundAgent(answering(0, ''), 'pipeops-system')).toBe(false);
});

test('a cluster that does not answer has not said that there is none', async () => {
  const silent = answering(1, '', 'The connection to the server was refused');
  expect(await failureOf(() => hasFoundAgent(silent, 'pipeops-system'))).toMatchObject({
    code: 'KUBERNETES_API',
  });
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const named = (kind: string, name: string, data: object) => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'pipeops-system' },
  ...data,
});

/** A cluster with these objects, whose kubectl gives the ones that it is asked for. */
function having(...objects: readonly ReturnType<typeof named>[]) {
  const asked: string[] = [];
  const deps = factDeps('/', {
    exec: {
      run: async (argv) => {
        const names = argv.filter((word) => word.includes('/') && !word.startsWith('/'));
        asked.push(...names);
        const items = objects.filter(({ kind, metadata }) =>
          names.includes(`${kind.toLowerCase()}/${metadata.name}`),
        );
        return { exitCode: 0, stdout: JSON.stringify({ kind: 'List', items }), stderr: '' };
      },
    },
  });
  return { deps, asked };
}

const deploymentWith = (container: object) =>
  named('Deployment', 'pipeops-agent', {
    spec: { template: { spec: { containers: [container] } } },
  });

test('an agent of a Helm chart is asked where its variables come from', async () => {
  const of = (name: string, from: string, source: string, key: string) => ({
    name,
    valueFrom: { [from]: { name: source, key } },
  });
  const { deps, asked } = having(
    deploymentWith({
      env: [
        { name: 'PIPEOPS_API_URL', value: 'https://cp.test' },
        of('PIPEOPS_TOKEN', 'secretKeyRef', 'chart-token', 'api-token'),
        of('PIPEOPS_CLUSTER_NAME', 'configMapKeyRef', 'chart-config', 'cluster'),
        of('OTHER', 'secretKeyRef', 'not-ours', 'key'),
        { name: 'PIPEOPS_STATE_CONFIGMAP_NAME', value: 'chart-state' },
        { name: 'PIPEOPS_AGENT_ID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      ],
    }),
    named('Secret', 'chart-token', { data: { 'api-token': base64('cp-token-1') } }),
    named('ConfigMap', 'chart-config', { data: { cluster: 'shop' } }),
    named('ConfigMap', 'chart-state', { data: { agent_id: 'agent-0123' } }),
  );
  const { agent, objects } = await findObjects(deps, 'pipeops-system');
  expect(agent).toEqual({
    apiUrl: 'https://cp.test',
    clusterName: 'shop',
    agentId: 'agent-0123',
    token: 'cp-token-1',
  });
  // What has no name of ours is not changed, so it is not put back either.
  expect(objects.map(({ metadata }) => metadata.name)).toEqual(['pipeops-agent']);
  expect(asked).not.toContain('secret/not-ours');
});

test('an agent that takes all of a Secret is asked for that, and what it is told itself wins', async () => {
  const { deps } = having(
    deploymentWith({
      envFrom: [{ configMapRef: { name: 'common' } }, { secretRef: { name: 'own' } }],
      env: [{ name: 'PIPEOPS_CLUSTER_NAME', value: 'named' }],
    }),
    named('ConfigMap', 'common', {
      data: { PIPEOPS_API_URL: 'https://common.test', PIPEOPS_CLUSTER_NAME: 'common' },
    }),
    named('Secret', 'own', {
      data: { PIPEOPS_API_URL: base64('https://own.test'), PIPEOPS_TOKEN: base64('cp-token-2') },
    }),
  );
  const { agent } = await findObjects(deps, 'pipeops-system');
  expect(agent).toEqual({
    apiUrl: 'https://own.test',
    clusterName: 'named',
    agentId: undefined,
    token: 'cp-token-2',
  });
});
