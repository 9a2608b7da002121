/** `/ws` over real doors, with a client of another make. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import type { DetailedHealth } from '../../../src/protocol/local-api.ts';
import { Problem, type RuntimeAnswer } from '../../../src/protocol/local-status.ts';
import type { SocketMessage } from '../../../src/protocol/local-web-socket.ts';
import { httpServer } from '../../../src/server/doors.ts';
import type { ServerSources } from '../../../src/server/sources.ts';
import { CONVERSATIONS_MAX } from '../../../src/server/web-socket/door.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../../support/no-kept-sockets.ts';
import { NO_SOURCES } from '../../support/server-sources.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';

const TOKEN = { headers: { authorization: 'Bearer local' } };
const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};
const FEATURES = {
  k8s_api: true,
  real_time_proxy: true,
  tunnel: true,
  metrics: true,
  health_monitoring: true,
  runtime_metrics: true,
  feature_version: '1',
};
const DETAILED: DetailedHealth = {
  agent: {
    id: 'agent-1',
    version: '1.0.0',
    role: 'server',
    cluster_name: 'one',
    pid: 7,
    uptime_seconds: 3_725.5,
    memory_rss_bytes: 0,
  },
  ready: false,
  reasons: [{ code: 'TIMEOUT', message: 'not yet' }],
  nodes: { total: 3, ready: 2, list: [] },
  session: {
    phase: 'unreachable',
    since: '',
    control_plane: null,
    transport: null,
    transport_reason: null,
    down_since: null,
    next_try: null,
    last_contact: null,
    last_error: null,
  },
  commands: { accepted: 0, running: 0, undelivered: 0, succeeded: 0, failed: 0 },
  timestamp: '',
};
const RUNTIME: RuntimeAnswer = {
  memory: {
    rss_bytes: 90 * 2 ** 20,
    heap_used_bytes: 30 * 2 ** 20,
    heap_total_bytes: 0,
    external_bytes: 0,
  },
  cpu_ms: 0,
  runtime: { name: 'bun', version: '1' },
  uptime_seconds: 61,
  timestamp: '2026-01-01T00:00:00.000Z',
};
const SOURCES: ServerSources = {
  ...NO_SOURCES,
  auth: { accepts: (given: string | undefined) => given === 'Bearer local' },
  features: async () => ({ features: FEATURES, commands: [], timestamp: '' }),
  detailed: async () => DETAILED,
  runtime: () => RUNTIME,
  proxy: {
    forward: () => {
      proxied += 1;
      throw new Error('it went on');
    },
  },
};

let directory: TempDirectory;
let stop: AbortController;
let done: Promise<void>;
let address: string;
let open: WebSocket[];
/** Requests that went on. */
let proxied: number;

beforeEach(async () => {
  directory = await tempDirectory();
  stop = new AbortController();
  open = [];
  proxied = 0;
  const server = httpServer(
    {
      log: memoryLog(),
      clock: systemClock,
      kept: NO_KEPT_SOCKETS,
      files: systemFiles('/'),
      sources: SOURCES,
    },
    { port: 0, socketPath: join(directory.path, 'agent.sock') },
  );
  ({ done } = await server.start(stop.signal));
  address = `127.0.0.1:${server.port()}/ws`;
});

afterEach(async () => {
  for (const socket of open) {
    socket.close();
  }
  stop.abort();
  await done;
  await directory[Symbol.asyncDispose]();
});

/** What came, and how it ended. */
async function dial(options: object) {
  const socket = new WebSocket(`ws://${address}`, options as never);
  open.push(socket);
  const seen = { messages: [] as SocketMessage[], closed: undefined as number | undefined };
  socket.onmessage = ({ data }) => void seen.messages.push(JSON.parse(String(data)));
  socket.onclose = ({ code }) => {
    seen.closed = code;
  };
  await until('it is greeted, or refused', () => seen.messages.length + (seen.closed ?? 0) > 0);
  return { socket, seen };
}

test('it greets, and answers as dashboards of earlier agents expect it', async () => {
  const { socket, seen } = await dial(TOKEN);
  for (const question of [{ type: 'ping' }, { type: 'get_status', data: 1 }, { type: 'dance' }]) {
    socket.send(JSON.stringify(question));
  }
  socket.send('no JSON');
  socket.send('{"type":"get_metrics"}');
  await until('the answers', () => seen.messages.length === 6);
  expect(seen.messages.every(({ timestamp }) => !Number.isNaN(Date.parse(timestamp)))).toBeTrue();
  expect(seen.messages.map(({ type, data }) => [type, data])).toEqual([
    ['status', { agent_id: 'agent-1', status: 'connected', features: FEATURES }],
    ['pong', { timestamp: expect.any(String) }],
    [
      'status_response',
      {
        ...{ agent_id: 'agent-1', uptime: '1h2m5s', ready: false, error: 'not yet' },
        cluster_status: { nodes: 3, nodes_ready: 2 },
        tunnel: { enabled: true, type: 'yamux' },
        features: FEATURES,
      },
    ],
    ['error', { message: 'Unknown message type: dance' }],
    ['error', { message: 'Unknown message type: ' }],
    [
      'metrics_response',
      {
        memory: { alloc_mb: 30, sys_mb: 90 },
        ...{ goroutines: 1, uptime: '1m1s', timestamp: '2026-01-01T00:00:00.000Z' },
      },
    ],
  ]);
});

test('a page shows the token by a subprotocol, which is not the one that it gets', async () => {
  const { socket, seen } = await dial({ protocols: ['pipeops-agent', 'bearer.local'] });
  expect([socket.protocol, seen.messages[0]?.type]).toEqual(['pipeops-agent', 'status']);
});

test('a token in a subprotocol opens nothing else: requests that go on would take it along', async () => {
  const headers = { 'sec-websocket-protocol': 'bearer.local' };
  const url = `http://${address.replace('/ws', '/proxy/api/v1/pods')}`;
  expect((await fetch(url, { headers })).status).toBe(401);
  expect(proxied).toBe(0);
});

async function refusal(headers: Record<string, string>, method = 'GET') {
  const response = await fetch(`http://${address}`, { method, headers });
  return [response.status, Problem.parse(await response.json()).code];
}

test('who has no token, or asks for no WebSocket, is told so', async () => {
  expect(await refusal(UPGRADE)).toEqual([401, 'LOCAL_TOKEN_REJECTED']);
  expect(await refusal({ ...UPGRADE, 'sec-websocket-protocol': 'bearer.wrong' })).toEqual([
    401,
    'LOCAL_TOKEN_REJECTED',
  ]);
  expect(await refusal(TOKEN.headers)).toEqual([426, 'USAGE']);
  const old = { ...UPGRADE, ...TOKEN.headers, 'sec-websocket-version': '8' };
  expect(await refusal(old)).toEqual([426, 'USAGE']);
  expect(await refusal({ ...UPGRADE, origin: 'https://evil.example' })).toEqual([
    403,
    'FOREIGN_ORIGIN',
  ]);
});

test('there are no more than so many, and one that ends makes room', async () => {
  const all = await Promise.all(Array.from(Array(CONVERSATIONS_MAX), () => dial(TOKEN)));
  const asked = { ...UPGRADE, ...TOKEN.headers };
  expect(await refusal(asked)).toEqual([429, 'TOO_MANY_REQUESTS']);
  all[0]?.socket.close();
  await until('there is room', async () => (await dial(TOKEN)).seen.messages.length > 0);
});

test('an agent that stops says so to all of them', async () => {
  const { seen } = await dial(TOKEN);
  stop.abort();
  await until('it is closed', () => seen.closed !== undefined);
  expect(seen.closed).toBe(1001);
});
