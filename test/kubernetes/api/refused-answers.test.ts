import { expect, test } from 'bun:test';
import type { Http } from '../../../src/core/ports.ts';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import { systemClock } from '../../../src/platform/clock.ts';

const never = new AbortController().signal;

const PATH = '/api/v1/pods';
const KNOWN = 'Kubernetes refused GET /api/v1/pods: HTTP 503';

test.each([
  ['nothing', ''],
  ['null', 'null'],
  ['a number', '7'],
  ['text', 'upstream is down'],
  ['a list', '[]'],
])('an error answer that is %s is an error of Kubernetes, never a bug', async (_, body) => {
  const http: Http = async () => new Response(body, { status: 503 });
  const current = async () => ({ server: 'https://k.test', ca: '', token: 't' });
  const client = kubernetesClient({
    clock: systemClock,
    http,
    credentials: { current, reload: () => undefined },
  });
  const failure = await client.get(PATH, never).catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({ code: 'KUBERNETES_API', message: KNOWN });
});

test.each([
  ['breaks off', new Response('{"items": [')],
  ['is no JSON', new Response('<html>')],
])('an answer that %s is trouble of Kubernetes, never a bug', async (_, response) => {
  const http: Http = async () => response;
  const current = async () => ({ server: 'https://k.test', ca: '', token: 't' });
  const client = kubernetesClient({
    clock: systemClock,
    http,
    credentials: { current, reload: () => undefined },
  });
  const failure = await client.page(PATH, {}, never).catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({ code: 'KUBERNETES_API' });
});

test('an API server that refuses connections is named with its address', async () => {
  const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  gone.stop(true);
  const host = `127.0.0.1:${gone.port}`;
  const current = async () => ({ server: `http://${host}`, ca: '', token: 't' });
  const client = kubernetesClient({
    clock: systemClock,
    http: fetch as Http,
    credentials: { current, reload: () => undefined },
  });
  expect(await client.get(PATH, never).catch((thrown: unknown) => thrown)).toMatchObject({
    code: 'KUBERNETES_API',
    message: `Cannot reach Kubernetes at ${host}: it refuses connections`,
    hint: 'Check that k3s runs: systemctl status k3s',
  });
});
