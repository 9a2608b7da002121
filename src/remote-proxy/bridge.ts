/** The `proxy_*` messages of a session: HTTP requests of the control plane to the cluster. */

import type { AttachedDataPlane, DataPlane, SessionLink } from '../control-plane/session/ports.ts';
import { expectedError } from '../core/errors.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import { afterwards } from '../core/waiting.ts';
import { asksForUpgrade } from '../http1/connection-header.ts';
import type { HeaderList } from '../http1/head.ts';
import { decodeBase64 } from '../protocol/base64.ts';
import type { Envelope } from '../protocol/session/messages.ts';
import {
  ProxyRequestChunkPayload,
  type ProxyRequestPayload,
  ProxyWindowPayload,
} from '../protocol/session/proxy.ts';
import { readProxyRequest } from '../protocol/session/read-proxy-request.ts';
import { deadlineOf, timeoutMsOf } from '../protocol/session/request-limit.ts';
import { type ForwardDeps, forward } from '../proxy/forward.ts';
import { BufferedRequest } from './buffered-request.ts';
import { headerOf, type RemoteDestinations, remoteDestination } from './destination.ts';
import { type LinkRoom, linkRoom } from './link-room.ts';
import type { RemoteRequest, RemoteRequestOptions } from './request.ts';
import { StreamedRequest } from './streamed-request.ts';
import {
  WEBSOCKET_MESSAGE_TYPES,
  type WebSocketMessages,
  webSocketMessages,
} from './websocket-messages.ts';

/** Requests of one connection at once. */
const REQUESTS_MAX = 1_024;
/** Bytes that all buffered answers of a connection may hold. */
const BUFFERED_BYTES_MAX = 32 * 1024 * 1024;
/** Headers that say how long a body is. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);
/** The longest time that a peer can give a request. */
const TIMEOUT_MS_MAX = 24 * 3_600_000;

export interface ProxyBridgeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly proxy: Omit<ForwardDeps, 'destination'>;
  readonly destinations: RemoteDestinations;
}

export function proxyBridge(deps: ProxyBridgeDeps): DataPlane {
  return {
    types: [
      'proxy_request',
      'proxy_request_chunk',
      'proxy_request_stream_end',
      'proxy_cancel',
      'proxy_window',
      ...WEBSOCKET_MESSAGE_TYPES,
    ],
    attach: (link) => new AttachedBridge(deps, link),
  };
}

class AttachedBridge implements AttachedDataPlane {
  readonly #deps: ProxyBridgeDeps;
  readonly #link: SessionLink;
  readonly #requests = new Map<string, RemoteRequest>();
  readonly #gone = new AbortController();
  readonly #leaving = new AbortController();
  #bufferedBytes = 0;
  readonly #room: LinkRoom;
  readonly #webSockets: WebSocketMessages;

  constructor(deps: ProxyBridgeDeps, link: SessionLink) {
    this.#deps = deps;
    this.#link = link;
    const listener = { full: () => this.#linkFull(), roomAgain: () => this.#roomAgain() };
    this.#room = linkRoom({ clock: deps.clock, link }, listener, this.#gone.signal);
    this.#webSockets = webSocketMessages({ ...deps, link, room: this.#room });
  }

  message(envelope: Envelope): void {
    if ((WEBSOCKET_MESSAGE_TYPES as readonly string[]).includes(envelope.type)) {
      this.#webSockets.message(envelope);
      return;
    }
    const id = envelope.request_id;
    if (id === undefined) {
      this.#deps.log.warn('a proxied request without a request_id was dropped', {
        type: envelope.type,
      });
      return;
    }
    const running = this.#requests.get(id);
    switch (envelope.type) {
      case 'proxy_request':
        this.#begin(id, envelope.payload ?? {}, running);
        break;
      case 'proxy_request_chunk': {
        const bytes = chunkOf(envelope.payload);
        if (bytes === undefined) {
          running?.fail('A piece of the body cannot be read', 'PROXY_REQUEST_INVALID');
        } else {
          running?.body(bytes);
        }
        break;
      }
      case 'proxy_request_stream_end':
        running?.bodyEnd();
        break;
      case 'proxy_cancel':
        running?.cancel();
        break;
      case 'proxy_window': {
        const window = ProxyWindowPayload.safeParse(envelope.payload);
        running?.windowOpened(window.data?.bytes ?? 0);
        break;
      }
    }
  }

  /** The body of a request that announced it with `body_binary`. */
  binary(data: Uint8Array): void {
    const bytes = Buffer.from(data);
    const idLength = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
    const request = this.#requests.get(bytes.toString('utf8', 2, 2 + idLength));
    request?.body(bytes.subarray(2 + idLength));
    request?.bodyEnd();
  }

  goAway(): void {
    this.#leaving.abort();
    this.#webSockets.goAway();
  }

  underWay(): number {
    return this.#requests.size + this.#webSockets.underWay();
  }

  close(): void {
    this.#gone.abort();
    for (const request of [...this.#requests.values()]) {
      request.cancel();
    }
    this.#webSockets.close();
  }

  /** Begins a request. Whatever is wrong with it, the peer is told. */
  #begin(
    id: string,
    payload: Readonly<Record<string, unknown>>,
    running: RemoteRequest | undefined,
  ): void {
    try {
      this.#admit(id, payload, running);
    } catch (thrown) {
      const { message, code } = expectedError(thrown);
      this.#refuse(id, message, code);
    }
  }

  #admit(
    id: string,
    payload: Readonly<Record<string, unknown>>,
    running: RemoteRequest | undefined,
  ): void {
    const wanted = readProxyRequest(payload);
    if (typeof wanted === 'string') {
      this.#refuse(id, wanted, 'PROXY_REQUEST_INVALID');
      return;
    }
    if (isUpgradeWithoutBytes(wanted)) {
      this.#refuse(id, 'headers: an upgrade needs raw_upgrade', 'PROXY_REQUEST_INVALID');
      return;
    }
    const body = bodyOf(wanted);
    const limitMs = limitMsOf(this.#deps.clock, wanted);
    if (body === 'unreadable') {
      this.#refuse(id, 'body: it is not base64', 'PROXY_REQUEST_INVALID');
    } else if (limitMs !== undefined && limitMs <= 0) {
      this.#refuse(id, 'The deadline of the request is over by the clock here', 'TIMEOUT');
    } else if (this.#leaving.signal.aborted) {
      this.#refuse(id, 'The agent is stopping; ask again', 'SHUTTING_DOWN');
    } else if (running !== undefined) {
      this.#refuse(id, 'A request with this request_id is under way', 'PROXY_REQUEST_INVALID');
    } else if (this.#requests.size >= REQUESTS_MAX) {
      this.#refuse(id, 'There are too many requests at once', 'TOO_MANY_REQUESTS');
    } else if (isWebSocket(wanted)) {
      this.#webSockets.request(id, wanted, limitMs);
    } else {
      this.#start(id, wanted, body, limitMs);
    }
  }

  #refuse(id: string, error: string, code: string): void {
    this.#link.send('proxy_error', { error, code }, id);
  }

  #start(
    id: string,
    payload: ProxyRequestPayload,
    body: Buffer | undefined,
    timeoutMs: number | undefined,
  ): void {
    const over = timeoutMs === undefined ? undefined : new AbortController();
    const request = remoteRequest({
      id,
      link: this.#link,
      streamed: payload.supports_response_streaming === true,
      windowed: this.#link.windowed,
      isFull: () => this.#room.isFull(),
      reserve: (bytes) => this.#reserve(bytes),
      release: (bytes) => {
        this.#bufferedBytes -= bytes;
      },
      over: () => {
        this.#requests.delete(id);
        over?.abort();
      },
    });
    this.#requests.set(id, request);
    const { pool, turns, measure, trace } = this.#deps.proxy;
    const destination = remoteDestination(this.#deps.destinations, this.#link, payload);
    const call = forward(
      { pool, turns, measure, trace, destination },
      {
        method: payload.method === '' ? 'GET' : payload.method,
        target: payload.query === '' ? payload.path : `${payload.path}?${payload.query}`,
        headers: framed(payload, body),
        client: 'control-plane',
        leaving: this.#leaving.signal,
      },
      request.sink,
    );
    request.begin(call);
    if (timeoutMs !== undefined && over !== undefined) {
      this.#endAt(request, timeoutMs, over.signal);
    }
    if (body !== undefined) {
      request.body(body);
    }
    if (!isStreamedBody(payload) && payload.body_binary !== true) {
      request.bodyEnd();
    }
  }

  #endAt(request: RemoteRequest, timeoutMs: number, over: AbortSignal): void {
    const { clock } = this.#deps;
    const either = AbortSignal.any([over, this.#gone.signal]);
    afterwards(clock, timeoutMs, either, () => request.timeOut());
  }

  #linkFull(): void {
    for (const request of this.#requests.values()) {
      request.linkFull();
    }
    this.#webSockets.linkFull();
  }

  #roomAgain(): void {
    for (const request of [...this.#requests.values()]) {
      request.roomAgain();
    }
    this.#webSockets.roomAgain();
  }

  #reserve(bytes: number): boolean {
    if (this.#bufferedBytes + bytes > BUFFERED_BYTES_MAX) {
      return false;
    }
    this.#bufferedBytes += bytes;
    return true;
  }
}

function isWebSocket(payload: ProxyRequestPayload): boolean {
  const { headers, raw_upgrade: isRaw } = payload;
  return (
    payload.is_websocket === true ||
    payload.isWebSocket === true ||
    (payload.protocol ?? '') !== '' ||
    (isRaw !== true && asksForUpgrade(headers) && /websocket/i.test(upgradeOf(headers)))
  );
}

/** Whether it asks for an upgrade without the bytes of the other protocol, which is of no use. */
function isUpgradeWithoutBytes(payload: ProxyRequestPayload): boolean {
  const { headers, raw_upgrade: isRaw } = payload;
  return isRaw !== true && !isWebSocket(payload) && asksForUpgrade(headers);
}

function upgradeOf(headers: HeaderList): string {
  return headerOf(headers, 'upgrade') ?? '';
}

function isStreamedBody(payload: ProxyRequestPayload): boolean {
  return (
    payload.use_streaming === true || payload.streaming === true || payload.raw_upgrade === true
  );
}

function bodyOf(payload: ProxyRequestPayload): Buffer | 'unreadable' | undefined {
  const { body, body_encoding: encoding } = payload;
  if (body === undefined || body === null || body === '') {
    return undefined;
  }
  if (typeof body !== 'string') {
    return Buffer.from(JSON.stringify(body));
  }
  const isText = encoding === undefined || encoding === '';
  return isText ? Buffer.from(body) : (decodeBase64(body) ?? 'unreadable');
}

function chunkOf(payload: Envelope['payload']): Buffer | undefined {
  const { data } = ProxyRequestChunkPayload.safeParse(payload ?? {});
  const text = data?.data ?? data?.chunk;
  return text === undefined ? undefined : decodeBase64(text);
}

/**
 * The headers with the length that the body has here: in the caller's HTTP it may have been
 * another.
 */
function framed(payload: ProxyRequestPayload, body: Buffer | undefined): HeaderList {
  const others = payload.headers.filter(([name]) => !FRAMING.has(name.toLowerCase()));
  if (payload.raw_upgrade === true) {
    return others;
  }
  const isBinary = payload.body_binary === true;
  if (isStreamedBody(payload) || (isBinary && payload.body_size === undefined)) {
    return [...others, ['Transfer-Encoding', 'chunked']];
  }
  const length = isBinary ? (payload.body_size ?? 0) : (body?.length ?? 0);
  return length === 0 ? others : [...others, ['Content-Length', String(length)]];
}

/** @returns how long the request may take from now on; undefined means without a limit */
function limitMsOf(clock: Clock, payload: ProxyRequestPayload): number | undefined {
  const { timeout = 0, deadline = '' } = payload;
  const timeoutMs = timeoutMsOf(timeout) || undefined;
  const deadlineMs = deadlineOf(deadline);
  const leftMs = deadlineMs === undefined ? undefined : deadlineMs - clock.now().getTime();
  const limitMs = Math.min(timeoutMs ?? TIMEOUT_MS_MAX, leftMs ?? TIMEOUT_MS_MAX, TIMEOUT_MS_MAX);
  return timeoutMs === undefined && leftMs === undefined ? undefined : limitMs;
}

function remoteRequest(options: RemoteRequestOptions): RemoteRequest {
  return options.streamed ? new StreamedRequest(options) : new BufferedRequest(options);
}
