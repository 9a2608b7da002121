/** A whole daemon that makes traces: commands, proxied requests, and what they ask Kubernetes. */
import { expect, test } from 'bun:test';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { startControlPlane } from '../support/control-plane/control-plane.ts';
import { startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';
import { startDaemon } from './running-daemon.ts';

const AGENT_ID = 'agent-under-test';
const TOKEN = 'a-control-plane-token';
const TIMEOUT_MS = 20_000;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const POD = '/api/v1/namespaces/default/pods/web';

async function started(setup: {
  readonly config: string;
  readonly credentials?: Readonly<Record<string, string>>;
  /** Beside `url` and `poll_interval`. */
  readonly controlPlane?: string;
}) {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await tempDirectory());
  const kubernetes = stack.use(await startFakeKubernetes());
  kubernetes.put(POD, {
    metadata: { namespace: 'default' },
    spec: { containers: [{ name: 'a' }] },
  });
  kubernetes.podLogs.set(POD, 'a line');
  const controlPlane = stack.use(startControlPlane({ token: TOKEN }));
  const daemon = await startDaemon(directory.path, {
    kubernetes,
    credentials: { 'control-plane-token': TOKEN, ...setup.credentials },
    config: `agent: {id: ${AGENT_ID}}
http: {port: 0, tls_port: 0}
control_plane: {url: "${controlPlane.url}", poll_interval: 500ms${setup.controlPlane ?? ''}}
${setup.config}
`,
  });
  const ask = (path: string, headers: Record<string, string>) =>
    fetch(`http://agent${path}`, { headers, unix: join(directory.path, 'agent.sock') });
  await until('the daemon answers', () =>
    ask('/health', {}).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  let isStopped = false;
  const stop = async () => {
    isStopped = true;
    await daemon.stop();
  };
  stack.defer(async () => {
    if (!isStopped) {
      await daemon.stop();
    }
  });
  return {
    ...{ kubernetes, stop, ask, log: daemon.log },
    /** The result of a command that the control plane has given. */
    command: async (id: string, type: string, payload: Record<string, unknown>) => {
      const created_at = new Date().toISOString();
      controlPlane.store.queue(AGENT_ID, { id, type, payload, timeout_seconds: null, created_at });
      return await controlPlane.waitFor(
        () => controlPlane.store.command(AGENT_ID, id)?.result ?? undefined,
        TIMEOUT_MS,
      );
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function found(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const span = spans.find((each) => each.name === name);
  if (span === undefined) {
    throw new Error(`no span "${name}" among ${spans.map((each) => each.name).join(', ')}`);
  }
  return span;
}

test('a command is a trace, with what it asked Kubernetes, and its result names it', async () => {
  using receiver = startOtlpReceiver();
  await using agent = await started({ config: `traces: {endpoint: "${receiver.endpoint}"}` });
  const result = await agent.command('c-1', 'logs', { pod: 'web' });
  await agent.stop();
  const command = found(receiver.spans, 'command logs');
  expect(command).toMatchObject({
    kind: 5,
    parentSpanId: '',
    attributes: { 'pipeops.command.id': 'c-1', 'pipeops.command.type': 'logs' },
    resource: { 'service.name': 'pipeops-agent', 'service.instance.id': AGENT_ID },
  });
  const call = receiver.spans.find((each) => each.attributes['url.path'] === `${POD}/log`);
  expect(call).toMatchObject({
    ...{ kind: 3, traceId: command.traceId, parentSpanId: command.spanId },
    attributes: { 'http.response.status_code': 200 },
  });
  expect(agent.kubernetes.traceparents.get(`${POD}/log`)).toStartWith(`00-${command.traceId}-`);
  expect(result?.traceparent).toBe(`00-${command.traceId}-${command.spanId}-01`);
});

test('a proxied request goes on in the trace of its caller; what only looks around is no trace', async () => {
  using receiver = startOtlpReceiver();
  await using agent = await started({ config: `traces: {endpoint: "${receiver.endpoint}"}` });
  const path = '/api/v1/namespaces';
  const traceparent = `00-${TRACE}-${CALLER}-01`;
  await (await agent.ask(`/proxy${path}?limit=7`, { traceparent })).text();
  await agent.stop();
  const proxied = found(receiver.spans, 'proxy GET');
  expect(proxied).toMatchObject({
    ...{ kind: 2, traceId: TRACE, parentSpanId: CALLER, error: undefined },
    attributes: {
      ...{ 'http.request.method': 'GET', 'pipeops.door': 'socket', 'url.path': path },
      'http.response.status_code': 200,
    },
  });
  expect(agent.kubernetes.traceparents.get(path)).toBe(`00-${TRACE}-${proxied.spanId}-01`);
  expect(receiver.spans.map(({ name }) => name)).toEqual(['proxy GET']);
});

test('a collector elsewhere is reached through the proxy, with the private authority and its own headers', async () => {
  await using directory = await tempDirectory();
  const certificates = await makeCertificates(['collector.example']);
  using receiver = startOtlpReceiver({ tls: certificates, host: 'collector.example' });
  const { port, host } = new URL(receiver.endpoint);
  await using proxy = await startForwardProxy('http', 'us:er', { leadsTo: Number(port) });
  const caFile = join(directory.path, 'ca.pem');
  await Bun.write(caFile, certificates.ca);
  const headersFile = join(directory.path, 'headers');
  await Bun.write(headersFile, '# of the collector\nAuthorization: Bearer s3cret-of-traces\n');
  await chmod(headersFile, 0o640);
  await using agent = await started({
    config: `traces: {endpoint: "${receiver.endpoint}", headers_file: ${headersFile}}`,
    controlPlane: `, proxy: "http://127.0.0.1:${proxy.port}", ca_file: ${caFile}`,
    credentials: { proxy: 'us:er' },
  });
  await agent.command('c-1', 'logs', { pod: 'web' });
  await agent.stop();
  expect(found(receiver.spans, 'command logs').error).toBeUndefined();
  expect(new Set(proxy.targets)).toEqual(new Set([host]));
  expect(receiver.headers[0]?.get('authorization')).toBe('Bearer s3cret-of-traces');
  expect(agent.log.join('\n')).not.toContain('s3cret');
});

test('without an endpoint a caller’s trace goes past the agent untouched, and results name none', async () => {
  await using agent = await started({ config: '' });
  const traceparent = `00-${TRACE}-${CALLER}-01`;
  await (await agent.ask('/proxy/api/v1/namespaces', { traceparent })).text();
  const result = await agent.command('c-1', 'get_resources', {});
  await agent.stop();
  expect(agent.kubernetes.traceparents.get('/api/v1/namespaces')).toBe(traceparent);
  expect([...agent.kubernetes.traceparents.keys()]).toEqual(['/api/v1/namespaces']);
  expect(result).toMatchObject({ success: true });
  expect(result).not.toHaveProperty('traceparent');
});
