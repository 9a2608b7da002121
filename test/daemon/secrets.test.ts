/** What the daemon writes and sends, at debug level and over everything it speaks, against its secrets. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import {
  answerRegister,
  type FakeController,
  startFakeController,
} from '../control-plane/fake-controller.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { startDaemon } from './running-daemon.ts';

const TIMEOUT_MS = 20_000;
const TOKEN = 'the-token-of-the-control-plane';
const PROXY_PASSWORD = 'the-password-of-the-proxy';
/** As it stands on a server: nobody gave it to the daemon, but an application may print it. */
const CLUSTER_TOKEN = `K10${'a1'.repeat(32)}::server:0123456789abcdef`;
const AGENT_ID = 'agent-1';
const FEATURES = {
  supports_commands: true,
  supports_status_reports: true,
  supports_flow_control: true,
};

test('no message, no log line, no metric and no answer of the socket holds a secret', async () => {
  await using directory = await tempDirectory();
  await using kubernetes = await startFakeKubernetes();
  const bodies: string[] = [];
  let webSocketsAllowed = true;
  await using server = startFakeController({
    http: (request) => restAnswer(request, bodies, () => webSocketsAllowed),
    message: answerRegister({ features: FEATURES }),
  });
  const credentials = `agent:${PROXY_PASSWORD}`;
  await using proxy = await startForwardProxy('socks5', credentials, { leadsTo: server.port });
  const daemon = await startDaemon(directory.path, {
    kubernetes,
    credentials: { 'control-plane-token': TOKEN, proxy: `agent:${PROXY_PASSWORD}\n` },
    config: configOf(proxy.port),
  });
  try {
    await speakOfEverything(server, kubernetes);
    await daemon.ask('/proxy/api/v1/namespaces/default/secrets');
    webSocketsAllowed = false;
    server.peers[0]?.terminate();
    await waitUntil('REST was spoken too', TIMEOUT_MS, async () =>
      ['register', 'heartbeat', 'status'].every((call) =>
        bodies.some(
          (body) => body.startsWith(`/api/v1/agents/${call}`) || body.includes(`/${call} `),
        ),
      ),
    );
    const shown = await Promise.all(
      ['/metrics', '/ready', '/version', '/api/health/detailed'].map(daemon.ask),
    );
    const sent = server.peers.flatMap(({ received }) => received);
    const serviceTokens = sent.flatMap(({ payload }) => payload?.['k8s_service_token'] ?? []);
    const localToken = await Bun.file(join(directory.path, 'local-token')).text();
    const withoutServiceToken = sent.map((message) =>
      JSON.stringify(message, (key, value) => (key === 'k8s_service_token' ? undefined : value)),
    );
    expect(new Set(sent.map(({ type }) => type))).toContain('command_result');
    expect(serviceTokens.length).toBeGreaterThan(0);
    const secrets = {
      TOKEN,
      PROXY_PASSWORD,
      CLUSTER_TOKEN,
      kubernetes: kubernetes.token,
      local: localToken.trim(),
      service: String(serviceTokens[0]),
      basic: Buffer.from(credentials).toString('base64'),
    };
    for (const [name, secret] of Object.entries(secrets)) {
      const found = { log: daemon.log, shown, webSocket: withoutServiceToken, rest: bodies };
      for (const [where, texts] of Object.entries(found)) {
        expect({ name, where, lines: texts.filter((text) => text.includes(secret)) }).toEqual({
          name,
          where,
          lines: [],
        });
      }
    }
    expect(daemon.log.some((line) => line.includes(' debug '))).toBe(true);
  } finally {
    await daemon.stop();
  }
}, 60_000);

/** The seed's REST; keeps what comes, after its path. The token may stand in its own header only. */
async function restAnswer(
  request: Request,
  bodies: string[],
  webSocketsAllowed: () => boolean,
): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  if (request.headers.has('upgrade') && webSocketsAllowed()) {
    return undefined;
  }
  if (!pathname.startsWith('/api/v1/agents/')) {
    return new Response('', { status: 404 });
  }
  const headers = [...request.headers].filter(([name]) => name !== 'authorization');
  bodies.push(`${pathname} ${JSON.stringify(headers)} ${await request.text()}`);
  return pathname.endsWith('/commands')
    ? Response.json({ commands: [] })
    : new Response(null, { status: 204 });
}

/** One message of every type, right and wrong, and an answer to each that has one. */
async function speakOfEverything(server: FakeController, kubernetes: FakeKubernetes) {
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  await peer.next('status_report');
  kubernetes.rollouts = 'stuck';
  kubernetes.put('/api/v1/namespaces/default/configmaps/leak', { data: { token: CLUSTER_TOKEN } });
  const command = (id: string, type: string, payload: unknown) =>
    peer.say('command', { id, type, payload });
  const environment = { PASSWORD: TOKEN, JOIN: CLUSTER_TOKEN };
  command('c-1', 'deploy', { name: 'web', image: 'web:1', environment, wait_seconds: 1 });
  command('c-2', 'apply', { manifest: `token: ${CLUSTER_TOKEN}` });
  command('c-3', 'exec', { pod: 'web', command: ['env', kubernetes.token] });
  command('c-4', 'join_token', { role: 'agent' });
  command('c-5', 'get_resources', { kinds: ['deployments'] });
  command('c-6', 'reformat', { token: TOKEN });
  peer.say('command_cancel', { id: 'c-9' });
  peer.say('error', { error: `Bearer ${TOKEN} and ${CLUSTER_TOKEN} were refused` });
  peer.say('teleport', { token: TOKEN });
  peer.say('status_request', {});
  peer.raw(`{"token": "${TOKEN}"`);
  peer.say('gateway_hello', { use_yamux: true });
  await peer.next('gateway_hello_ack');
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const paths = ['/version', '/api/v1/namespaces/default/secrets', '/%'];
  for (const [at, path] of paths.entries()) {
    peer.say('proxy_request', { method: 'GET', path, headers }, `r-${at}`);
  }
  peer.say('proxy_websocket_start', { stream_id: 'w', path: '/x', headers }, 'w');
  for (let count = 0; count < 6; count += 1) {
    const { payload } = await peer.next('command_result');
    peer.say('command_ack', { id: payload['id'], of: 'result', outcome: 'kept' });
  }
}

const configOf = (proxyPort: number) => `agent: {id: ${AGENT_ID}}
http: {port: 0, tls_port: 0}
log: {level: debug}
control_plane:
  url: http://192.0.2.1
  allow_insecure: true
  proxy: socks5://127.0.0.1:${proxyPort}
  heartbeat_interval: 1s
  status_interval: 5s
  poll_interval: 1s
`;
