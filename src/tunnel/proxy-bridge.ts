/** The `proxy_*` messages of a session: HTTP requests of the control plane to the cluster. */
import type { AttachedDataPlane, DataPlane, SessionLink } from '../control-plane/ports.ts';
import { parseDuration } from '../core/duration.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Envelope } from '../protocol/messages.ts';
import {
  ProxyRequestChunkPayload,
  ProxyRequestPayload,
  ProxyWindowPayload,
} from '../protocol/proxy-messages.ts';
import { type Destination, type ForwardDeps, forward } from '../proxy/forward.ts';
import type { HeaderList } from '../proxy/http-head.ts';
import { type RemoteRequest, remoteRequest } from './remote-request.ts';

/** Requests of one connection at once. */
const REQUESTS_MAX = 1_024;
/** Bytes that may wait in the connection before the cluster is told to pause. */
const CONNECTION_FULL_BYTES = 1024 * 1024;
/** … and how few they must be before it goes on. */
const CONNECTION_ROOM_BYTES = 256 * 1024;
/** How often a full connection is looked at: the runtime does not say when it has room. */
const ROOM_CHECK_MS = 5;
/** What all buffered answers of a connection may hold, bytes. */
const BUFFERED_BYTES_MAX = 32 * 1024 * 1024;
/** Longest time that a peer can give a request. */
const TIMEOUT_MS_MAX = 24 * 3_600_000;

/** Where applications are; decides also whether they may be reached. */
export interface Applications {
  service(target: {
    readonly namespace: string;
    readonly name: string;
    readonly port: number;
    readonly tls: boolean;
  }): Destination;
  /** The one that an Ingress of this host leads to; undefined when there is none. */
  host(name: string): Destination | undefined;
}

export interface ProxyBridgeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly proxy: Omit<ForwardDeps, 'destination'>;
  readonly kubernetes: Destination;
  readonly applications: Applications;
}

export function proxyBridge(deps: ProxyBridgeDeps): DataPlane {
  return {
    types: [
      'proxy_request',
      'proxy_request_chunk',
      'proxy_request_stream_end',
      'proxy_cancel',
      'proxy_window',
    ],
    attach: (link) => new AttachedBridge(deps, link),
  };
}

class AttachedBridge implements AttachedDataPlane {
  readonly #deps: ProxyBridgeDeps;
  readonly #link: SessionLink;
  readonly #requests = new Map<string, RemoteRequest>();
  readonly #gone = new AbortController();
  #bufferedBytes = 0;
  #isWatchingRoom = false;

  constructor(deps: ProxyBridgeDeps, link: SessionLink) {
    this.#deps = deps;
    this.#link = link;
  }

  message(envelope: Envelope): void {
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
        const { data, chunk } = ProxyRequestChunkPayload.parse(envelope.payload ?? {});
        running?.body(Buffer.from(data ?? chunk ?? '', 'base64'));
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
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const idLength = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
    const request = this.#requests.get(bytes.toString('utf8', 2, 2 + idLength));
    request?.body(bytes.subarray(2 + idLength));
    request?.bodyEnd();
  }

  close(): void {
    this.#gone.abort();
    for (const request of [...this.#requests.values()]) {
      request.cancel();
    }
  }

  #begin(id: string, payload: unknown, running: RemoteRequest | undefined): void {
    const parsed = ProxyRequestPayload.safeParse(payload);
    if (!parsed.success) {
      const problems = parsed.error.issues.map(
        ({ path, message }) => `${path.join('.')}: ${message}`,
      );
      this.#refuse(id, problems.join('; '), 'PROXY_REQUEST_INVALID');
    } else if (running !== undefined) {
      this.#refuse(id, 'A request with this request_id is under way', 'PROXY_REQUEST_INVALID');
    } else if (this.#requests.size >= REQUESTS_MAX) {
      this.#refuse(id, 'There are too many requests at once', 'TOO_MANY_REQUESTS');
    } else {
      this.#start(id, parsed.data);
    }
  }

  #refuse(id: string, error: string, code: string): void {
    this.#link.send('proxy_error', { error, code }, id);
  }

  #start(id: string, payload: ProxyRequestPayload): void {
    const over = new AbortController();
    const request = remoteRequest({
      id,
      link: this.#link,
      streamed: payload.supports_response_streaming === true,
      windowed: this.#link.windowed,
      isFull: () => this.#isFull(),
      reserve: (bytes) => this.#reserve(bytes),
      release: (bytes) => {
        this.#bufferedBytes -= bytes;
      },
      over: () => {
        this.#requests.delete(id);
        over.abort();
      },
    });
    this.#requests.set(id, request);
    const destination = this.#destinationOf(payload);
    const body = bodyOf(payload);
    const call = forward(
      { ...this.#deps.proxy, destination },
      {
        method: payload.method === '' ? 'GET' : payload.method,
        target: payload.query === '' ? payload.path : `${payload.path}?${payload.query}`,
        headers: framed(payload, body),
        client: 'control-plane',
      },
      request.sink,
    );
    request.begin(call);
    const timeoutMs = timeoutOf(payload);
    if (timeoutMs !== undefined) {
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
    void clock.sleep(timeoutMs, AbortSignal.any([over, this.#gone.signal])).then((whole) => {
      if (whole) {
        request.timeOut();
      }
    });
  }

  #destinationOf(payload: ProxyRequestPayload): Destination {
    const { applications, kubernetes } = this.#deps;
    const { namespace, service_name: name, service_port: port } = payload;
    if (namespace !== undefined && name !== undefined && port !== undefined) {
      return applications.service({ namespace, name, port, tls: payload.scheme === 'https' });
    }
    const host = headerOf(payload.headers, 'host') ?? headerOf(payload.headers, 'x-forwarded-host');
    const application = host === undefined ? undefined : applications.host(host);
    return application ?? onlyWithToken(kubernetes, this.#link, payload.headers);
  }

  #reserve(bytes: number): boolean {
    if (this.#bufferedBytes + bytes > BUFFERED_BYTES_MAX) {
      return false;
    }
    this.#bufferedBytes += bytes;
    return true;
  }

  #isFull(): boolean {
    const full = this.#link.bufferedBytes() > CONNECTION_FULL_BYTES;
    if (full && !this.#isWatchingRoom) {
      this.#isWatchingRoom = true;
      void this.#watchRoom();
    }
    return full;
  }

  async #watchRoom(): Promise<void> {
    const { clock } = this.#deps;
    do {
      if (!(await clock.sleep(ROOM_CHECK_MS, this.#gone.signal))) {
        return;
      }
    } while (this.#link.bufferedBytes() > CONNECTION_ROOM_BYTES);
    this.#isWatchingRoom = false;
    for (const request of [...this.#requests.values()]) {
      request.roomAgain();
    }
  }
}

/** The API server sees the agent; so who asks must show what it was given at registration. */
function onlyWithToken(
  kubernetes: Destination,
  link: SessionLink,
  headers: HeaderList,
): Destination {
  const authorization = headerOf(headers, 'authorization') ?? '';
  const token = /^Bearer (\S+)$/i.exec(authorization)?.[1];
  if (token !== undefined && link.acceptsServiceToken(token)) {
    return kubernetes;
  }
  return {
    ...kubernetes,
    allow: () => ({
      allowed: false,
      rule: 'session/service-token',
      reason: 'The request does not carry the credential of the registration',
    }),
  };
}

function isStreamedBody(payload: ProxyRequestPayload): boolean {
  return (
    payload.use_streaming === true || payload.streaming === true || payload.raw_upgrade === true
  );
}

function bodyOf(payload: ProxyRequestPayload): Buffer | undefined {
  const { body } = payload;
  if (body === undefined || body === null || body === '') {
    return undefined;
  }
  if (typeof body !== 'string') {
    return Buffer.from(JSON.stringify(body));
  }
  return Buffer.from(body, payload.body_encoding?.toLowerCase() === 'base64' ? 'base64' : 'utf8');
}

/** The length as it is here: the one that the caller's HTTP had need not be that. */
function framed(payload: ProxyRequestPayload, body: Buffer | undefined): HeaderList {
  const others = payload.headers.filter(
    ([name]) => !['content-length', 'transfer-encoding'].includes(name.toLowerCase()),
  );
  if (payload.raw_upgrade === true) {
    return others;
  }
  if (isStreamedBody(payload)) {
    return [...others, ['Transfer-Encoding', 'chunked']];
  }
  const length = payload.body_binary === true ? (payload.body_size ?? 0) : (body?.length ?? 0);
  return length === 0 ? others : [...others, ['Content-Length', String(length)]];
}

function headerOf(headers: HeaderList, lowerName: string): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === lowerName)?.[1];
}

function timeoutOf(payload: ProxyRequestPayload): number | undefined {
  const { timeout } = payload;
  const ms = typeof timeout === 'string' ? parseDuration(timeout) : timeout;
  return ms === undefined || !(ms > 0) ? undefined : Math.min(ms, TIMEOUT_MS_MAX);
}
