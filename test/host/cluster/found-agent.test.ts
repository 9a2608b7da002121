import { expect, test } from 'bun:test';
import { hasFoundAgent } from '../../../src/host/cluster/found-agent.ts';
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
