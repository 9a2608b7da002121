import { expect, test } from 'bun:test';
import { findAgents } from '../../../src/host/cluster/found-agents.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { failureOf } from '../../support/failure-of.ts';

/** A machine whose kubectl answers this. */
const answering = (exitCode: number, stdout: string, stderr = '') =>
  factDeps('/', { exec: { run: async () => ({ exitCode, stdout, stderr }) } });

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
  const others = ['shop\tweb\t\tweb\tnginx:1', 'shop\tpipeops-agent\t\t\tpipeops/agent-docs'];
  const deps = answering(0, [...others, words.join('\t'), ''].join('\n'));
  expect(await findAgents(deps)).toEqual([{ namespace, name }]);
});

test('a cluster that does not answer has not said that there is none', async () => {
  const silent = answering(1, '', 'The connection to the server was refused');
  expect(await failureOf(() => findAgents(silent))).toMatchObject({ code: 'KUBERNETES_API' });
});
