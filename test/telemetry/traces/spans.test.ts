/** Which spans are made of requests, and what they say. */
import { expect, test } from 'bun:test';
import type { SpanEnd, SpanStart, Traces } from '../../../src/core/traces.ts';
import { tracedKubernetes } from '../../../src/telemetry/traces/kubernetes-calls.ts';
import { tracedRequests } from '../../../src/telemetry/traces/proxied-requests.ts';

const OWN = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;

/** @param isInside whether there is a span around what is asked */
function recorder(isInside = true) {
  const seen: unknown[] = [];
  const begin = (name: string, parent: string | undefined, { attributes }: SpanStart) => ({
    traceparent: OWN,
    run: <Result>(work: () => Result) => work(),
    end: ({ error, attributes: more }: SpanEnd) =>
      void seen.push({ name, parent, error, attributes: { ...attributes, ...more } }),
  });
  const traces: Traces = {
    begin,
    beginInside: (name, start) => (isInside ? begin(name, undefined, start) : undefined),
  };
  return { seen, traces };
}

test('a call to Kubernetes says what was asked, without its query, and what was answered', async () => {
  const { seen, traces } = recorder();
  const sent: (string | null)[] = [];
  const http = tracedKubernetes(async (url, init) => {
    sent.push(new Headers(init?.headers).get('traceparent'));
    if (url.endsWith('/gone')) {
      throw new Error('refused');
    }
    return new Response(null, { status: url.includes('/missing') ? 404 : 200 });
  }, traces);
  await http('https://k/api/v1/pods?fieldSelector=secret');
  await http('https://k/missing', { method: 'PATCH', headers: { traceparent: 'other' } });
  await expect(http('https://k/gone')).rejects.toThrow('refused');
  const of = (method: string, path: string) => ({
    ...{ 'http.request.method': method, 'url.path': path },
  });
  const status = (code: number) => ({ 'http.response.status_code': code });
  const span = { name: 'kubernetes GET', parent: undefined, error: undefined };
  expect(seen).toEqual([
    { ...span, attributes: { ...of('GET', '/api/v1/pods'), ...status(200) } },
    {
      ...span,
      ...{ name: 'kubernetes PATCH', error: '404' },
      attributes: { ...of('PATCH', '/missing'), ...status(404) },
    },
    { ...span, error: 'refused', attributes: of('GET', '/gone') },
  ]);
  expect(sent).toEqual([OWN, OWN, OWN]);
});

test('a call that belongs to nothing is no span', async () => {
  const { seen, traces } = recorder(false);
  const sent: unknown[] = [];
  const http = tracedKubernetes(async (_, init) => {
    sent.push(init);
    return new Response();
  }, traces);
  await http('https://k/api');
  expect([seen, sent]).toEqual([[], [{}]]);
});

test('a proxied request names its door and its path, but nothing of an application', () => {
  const { seen, traces } = recorder();
  const trace = tracedRequests({ traces, random: { fraction: () => 0.5 } }, 0.6);
  const asked = (headers: readonly (readonly [string, string])[]) =>
    trace({ method: 'GET', target: '/?token=x', headers, client: 'loopback:curl/8' });
  const first = asked([
    ['Accept', '*/*'],
    ['TraceParent', 'theirs'],
  ]);
  expect(first?.headers).toEqual([
    ['Accept', '*/*'],
    ['traceparent', OWN],
  ]);
  const path = '/api/v1/namespaces/a/services/b/proxy/reset/secret';
  first?.ended({ kind: 'short', status: 200 }, path);
  asked([])?.ended({ kind: 'short', status: 503 }, undefined);
  asked([])?.ended({ kind: 'stream', status: undefined }, undefined);
  const span = { name: 'proxy GET', parent: undefined, error: undefined };
  const attributes = { 'http.request.method': 'GET', 'pipeops.door': 'loopback' };
  expect(seen).toEqual([
    {
      ...{ ...span, parent: 'theirs' },
      attributes: {
        ...{ ...attributes, 'http.response.status_code': 200 },
        'url.path': '/api/v1/namespaces/a/services/b/proxy',
      },
    },
    { ...span, error: '503', attributes: { ...attributes, 'http.response.status_code': 503 } },
    { ...span, error: 'cancelled', attributes },
  ]);
});

test('of requests whose caller traces nothing a share is traced; others keep their headers', () => {
  const { seen, traces } = recorder();
  let fraction = 0.05;
  const trace = tracedRequests({ traces, random: { fraction: () => fraction } }, 0.05);
  const asked = { method: 'GET', target: '/', client: 'socket' };
  expect(trace({ ...asked, headers: [] })).toBeUndefined();
  trace({ ...asked, headers: [['traceparent', 'theirs']] })?.ended(
    { kind: 'short', status: 200 },
    undefined,
  );
  fraction = 0.04;
  trace({ ...asked, headers: [] })?.ended({ kind: 'short', status: 200 }, undefined);
  expect(seen).toMatchObject([{ parent: 'theirs' }, { parent: undefined }]);
});
