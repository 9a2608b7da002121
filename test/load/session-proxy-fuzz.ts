/**
 * Requests of a control plane, right and not, through the real `proxy_*` messages and the proxy, over
 * sockets without a network. What the API server gets is compared with what was asked for, character by
 * character: nothing may come that the policy refuses, nothing in place of what was said.
 */
import type { SessionLink } from '../../src/control-plane/session/ports.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { ALLOWED, refused } from '../../src/policy/decision.ts';
import type { Destination } from '../../src/proxy/destination.ts';
import { KUBERNETES_PEER } from '../../src/proxy/kubernetes-destination.ts';
import { fairTurns } from '../../src/proxy/turns.ts';
import { proxyBridge } from '../../src/remote-proxy/bridge.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NOT_MEASURED } from '../support/proxy-deps.ts';
import { type Draw, drawOf, pick } from './draw.ts';
import { FakeApi } from './fake-api.ts';
import { VALUES } from './protocol-fuzz.ts';
import type { Header } from './strict-http.ts';

const REQUESTS_MAX = 4;
const TURNS = 100;
const HIDDEN = '0\r\n\r\nGET /forbidden/hidden HTTP/1.1\r\nHost: x\r\n\r\n';
/** Of some the low bytes end a line, or are what a length or a name is made of. */
const ODD_TEXTS = [
  ...['\u010d\u010a', '\u010a', '\u020d\u030a', '\ud80d\udc0a', '\u{1f4a5}', '\u0100', '\u0a0d'],
  ...['\r\n', '\n', '\r', '\0', '\x7f', '\u00e9', '\u2028', ' ', '\t', ':', '?', '#', '\u0130'],
  ...['\u010d\u010aTransfer-Encoding: chunked', '\u010d\u010a\u010d\u010a', '\u010d\u010aX: y'],
] as const;
const FINAL = ['proxy_response', 'proxy_error', 'proxy_response_end', 'proxy_response_abort'];

type Payload = Record<string, unknown>;

export interface SessionFuzzReport {
  readonly requests: number;
  readonly passedOn: number;
}

/** @throws Error that names the case; the same seed gives the same cases */
export async function fuzzSessionProxy(seed: number, requests: number): Promise<SessionFuzzReport> {
  const sum = { requests: 0, passedOn: 0 };
  for (let number = 0; sum.requests < requests; number += 1) {
    const draw = drawOf(seed + number);
    const count = 1 + draw(REQUESTS_MAX);
    const said = Array.from({ length: count }, (_, index) => payloadOf(draw, index));
    try {
      sum.passedOn += await run(draw, said);
    } catch (cause) {
      throw new Error(`Case ${seed + number}: ${JSON.stringify(said)}`, { cause });
    }
    sum.requests += count;
  }
  return sum;
}

function payloadOf(draw: Draw, index: number): Payload {
  const kind = pick(draw, ['length', 'chunks', 'empty', 'forbidden']);
  const headers: Payload = { Authorization: 'Bearer given', 'X-A': 'b', 'x-b': ['c', 'd'] };
  const payload: Payload = {
    ...{ method: pick(draw, ['GET', 'POST', 'DELETE', '']), path: `/${kind}/${index}` },
    query: pick(draw, ['', 'labelSelector=app%3Dx']),
    headers,
    ...(draw(2) === 0 ? { body: pick(draw, [HIDDEN, 'short', { a: 1 }]) } : {}),
    supports_response_streaming: draw(2) === 0,
  };
  for (let changes = draw(3); changes > 0; changes -= 1) {
    change(draw, payload, headers);
  }
  return payload;
}

function change(draw: Draw, payload: Payload, headers: Payload): void {
  const odd = pick(draw, ODD_TEXTS);
  const field = pick(draw, ['method', 'path', 'query', 'body_encoding', 'scheme', 'timeout']);
  switch (draw(6)) {
    case 0:
      headers['X-A'] =
        `a${odd}${pick(draw, ['', 'Content-Length: 0', 'Transfer-Encoding: chunked'])}`;
      break;
    case 1:
      headers[`X${odd}Y`] = 'z';
      break;
    case 2:
      headers[pick(draw, ['Impersonate-User', 'Connection', 'Expect', 'Upgrade'])] = `a${odd}`;
      break;
    case 3:
      payload[field] = `${payload[field] ?? ''}${odd}`;
      break;
    case 4:
      payload[pick(draw, [field, 'headers', 'body', 'body_binary', 'use_streaming'])] =
        VALUES[draw(VALUES.length)];
      break;
    default:
      headers['X-B'] = VALUES[draw(VALUES.length)];
  }
}

async function run(draw: Draw, said: readonly Payload[]): Promise<number> {
  const clock = manualClock();
  const api = new FakeApi(draw, () => 0);
  const answered = new Map<string, number>();
  const address = { hostname: 'api', port: 1, trust: 'plain', peer: KUBERNETES_PEER } as const;
  const kubernetes: Destination = {
    allow: (_, target) => (target.startsWith('/forbidden') ? refused('fuzz', 'no') : ALLOWED),
    locate: async () => ({ address, host: 'kubernetes.test', token: 'agents-token' }),
    unauthorized: () => undefined,
  };
  const link: SessionLink = {
    kind: 'controller',
    clusterId: 'c',
    clusterUuid: 'u',
    windowed: true,
    send: (type, _, id = '') => {
      answered.set(id, (answered.get(id) ?? 0) + (FINAL.includes(type) ? 1 : 0));
      return true;
    },
    sendBinary: () => true,
    bufferedBytes: () => 0,
    acceptsServiceToken: (token) => token === 'given',
  };
  const bridge = proxyBridge({
    clock,
    log: memoryLog(),
    random: systemRandom,
    proxy: { pool: api.pool, turns: fairTurns({ clock }), measure: NOT_MEASURED },
    destinations: {
      kubernetes,
      applications: { service: () => kubernetes, host: () => undefined },
    },
  }).attach(link);
  for (const [index, payload] of said.entries()) {
    bridge.message({ type: 'proxy_request', request_id: `${index}`, payload });
    bridge.message({ type: 'proxy_request_stream_end', request_id: `${index}`, payload: {} });
    await settle(api);
  }
  const seen = check(api, said);
  bridge.close();
  await settle(api);
  const unanswered = said.findIndex(
    (payload, index) => !mayWait(payload) && answered.get(`${index}`) !== 1,
  );
  if (unanswered !== -1) {
    throw new Error(`Request ${unanswered} has ${answered.get(`${unanswered}`) ?? 0} answers`);
  }
  return seen;
}

/** For a body that comes apart, or a WebSocket that opens: whoever leaves takes it along. */
const mayWait = (payload: Payload) => payload['body_binary'] === true || hasUpgrade(payload);
const hasUpgrade = ({ headers }: Payload) => JSON.stringify(headers ?? '').includes('Upgrade');

async function settle(api: FakeApi): Promise<void> {
  for (let more = true; more; ) {
    for (let turn = 0; turn < TURNS; turn += 1) {
      await undefined;
    }
    more = api.step();
  }
}

/** @returns how many the API server got */
function check(api: FakeApi, said: readonly Payload[]): number {
  if (api.unreadable.length > 0) {
    throw new Error(`The API server cannot read: ${JSON.stringify(api.unreadable)}`);
  }
  for (const request of api.seen) {
    const meant = said.some(
      ({ method, path, query, headers }) =>
        request.method === (method || 'GET') &&
        request.target === `${path}${query ? `?${query}` : ''}` &&
        !request.target.startsWith('/forbidden') &&
        Bun.deepEquals(ownHeaders(request.headers), wantedHeaders(headers)),
    );
    if (!meant) {
      throw new Error(`The API server got what nobody asked for: ${JSON.stringify(request)}`);
    }
  }
  return api.seen.length;
}

const NOT_COMPARED =
  /^(?:host|authorization|content-length|transfer-encoding|connection|expect|upgrade)$/i;

function ownHeaders(headers: readonly Header[]): readonly Header[] {
  return headers.filter(([name]) => !NOT_COMPARED.test(name));
}

/** As the caller meant them: each value apart; without the spaces around it, which say nothing. */
function wantedHeaders(headers: unknown): readonly Header[] {
  const all = Object.entries((headers ?? {}) as Record<string, unknown>);
  return ownHeaders(
    all.flatMap(([name, value]) =>
      [value ?? []]
        .flat()
        .map((each) => [name, String(each).replace(/^[ \t]+|[ \t]+$/g, '')] as const),
    ),
  );
}
