import { expect, test } from 'bun:test';
import { startFakeKubernetes } from './fake-kubernetes.ts';

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

test('whoever watches from a version is told what has happened between', async () => {
  await using kubernetes = await startFakeKubernetes();
  kubernetes.rollouts = 'stuck';
  kubernetes.put(`${DEPLOYMENTS}/web`, { spec: { replicas: 1 } });
  const headers = { authorization: `Bearer ${kubernetes.token}` };
  const ask = (path: string) =>
    fetch(`${kubernetes.url}${path}`, { headers, tls: { ca: kubernetes.ca } });
  const { metadata } = (await (await ask(DEPLOYMENTS)).json()) as {
    metadata: { resourceVersion: string };
  };
  kubernetes.finishRollouts();
  const { body } = await ask(
    `${DEPLOYMENTS}?watch=true&resourceVersion=${metadata.resourceVersion}`,
  );
  let seen = '';
  for await (const chunk of body ?? []) {
    seen += Buffer.from(chunk).toString();
    if (seen.includes('MODIFIED')) {
      break;
    }
  }
  const events = seen
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events).toMatchObject([
    { type: 'BOOKMARK' },
    { type: 'MODIFIED', object: { metadata: { name: 'web' }, status: { readyReplicas: 1 } } },
  ]);
});
