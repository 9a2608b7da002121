import { expect, test } from 'bun:test';
import { findAgents } from '../../../src/host/cluster/found-agents.ts';
import { deploymentsOfKubectl } from '../../support/deployments-of-kubectl.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { failureOf } from '../../support/failure-of.ts';

const knowing = (deployments: readonly (readonly string[])[]) =>
  factDeps('/', { exec: deploymentsOfKubectl(deployments) });

test.each([
  ['its usual name', ['pipeops-system', 'pipeops-agent', '', '', 'mirror.example/x:1']],
  ['the image of its installer', ['apps', 'a', '', '', 'docker.io/pipeops/agent:latest']],
  ['the image of its manifests', ['apps', 'a', '', '', 'ghcr.io/pipeopshq/pipeops-k8-agent']],
  ['an image of a mirror with a port', ['apps', 'a', '', '', 'r.test:5000/pipeops-agent@sha256:0']],
  ['one of several images', ['apps', 'a', '', '', 'envoy:1 pipeops/agent:v1']],
  ['the label of its chart', ['apps', 'a', 'pipeops-agent', '', 'x']],
  ['the label of its manifests', ['apps', 'a', '', 'pipeops-agent', 'x']],
])('an agent in the cluster is known by %s', async (_, words) => {
  const [namespace = '', name = ''] = words;
  const others = [
    ['shop', 'web', '', 'web', 'nginx:1'],
    ['shop', 'pipeops-agent', '', '', 'pipeops/agent-docs'],
  ];
  expect(await findAgents(knowing([...others, words]))).toEqual([{ namespace, name }]);
});

test('an image that is written as lines names no Deployment of somebody else', async () => {
  const image = 'x\nshop\tdatabase\tpipeops-agent\t\tx\npipeops-system\tpipeops-agent\t\t\tx';
  expect(await findAgents(knowing([['apps', 'a', '', '', image]]))).not.toContainEqual(
    expect.objectContaining({ namespace: expect.stringMatching(/^(?!apps$)/) }),
  );
});

test('a cluster that does not answer has not said that there is none', async () => {
  const stderr = 'The connection to the server was refused';
  const silent = factDeps('/', {
    exec: { run: async () => ({ exitCode: 1, stdout: '', stderr }) },
  });
  expect(await failureOf(() => findAgents(silent))).toMatchObject({ code: 'KUBERNETES_API' });
});
