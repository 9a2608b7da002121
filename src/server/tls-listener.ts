/**
 * The door of kubectl to the proxy, on 127.0.0.1 over TLS: kubectl sends no token over plain HTTP.
 * node:https keeps what Bun.serve does not: the raw path, raw headers, trailers, and the socket of
 * an upgrade (exec, attach, port-forward), whose bytes are passed on untouched.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { AgentError, messageOf } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { HeaderList, ResponseHead } from '../protocol/http-head.ts';
import { type ForwardDeps, forward } from '../proxy/forward.ts';
import type { Listener } from './listener.ts';
import type { LocalAuth } from './local-auth.ts';
import { foreignReason } from './own-host.ts';
import type { CertificateAndKey } from './self-signed-certificate.ts';

/** Largest head of a request, bytes: what the API server takes as well. */
const REQUEST_HEAD_BYTES_MAX = 64 * 1024;
/** Time for the head of a request, ms. */
const REQUEST_HEAD_TIMEOUT_MS = 20_000;
/** An idle connection is kept for this long, ms. */
const KEEP_ALIVE_MS = 120_000;
/** At the stop: how long requests and streams under way may go on, ms. */
const DRAIN_MS = 5_000;
/** Connections at once. */
const CONNECTIONS_MAX = 3_000;

const PREFIX = '/proxy';

interface TlsListenerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly auth: LocalAuth;
  readonly proxy: ForwardDeps;
}

interface TlsListenerOptions {
  readonly port: number;
  readonly certificate: CertificateAndKey;
}

/** @throws AgentError PORT_IN_USE at start */
export function tlsListener(deps: TlsListenerDeps, options: TlsListenerOptions): Listener {
  let port = options.port;
  return {
    name: 'tls-listener',
    port: () => port,
    start: async (signal) => {
      const server = createServer({
        cert: options.certificate.certificate,
        key: options.certificate.key,
        minVersion: 'TLSv1.2',
        maxHeaderSize: REQUEST_HEAD_BYTES_MAX,
        headersTimeout: REQUEST_HEAD_TIMEOUT_MS,
        requestTimeout: 0, // a large upload may take its time
        keepAliveTimeout: KEEP_ALIVE_MS,
      });
      server.maxConnections = CONNECTIONS_MAX;
      const busy = busyStreams();
      server.on('request', (request, response) => {
        busy.add(response);
        answerRequest(deps, request, response, signal);
      });
      server.on('upgrade', (request, socket, first) => {
        busy.add(socket);
        answerUpgrade(deps, request, socket, first, signal);
      });
      port = await listen(server, options.port);
      return { done: closeWhenAsked(deps.clock, server, busy, signal) };
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `Cannot listen on 127.0.0.1:${port}: ${messageOf(cause)}`;
      const hint = 'See who holds it: ss -ltnp; or choose another: http.tls_port in config.yaml';
      reject(new AgentError('PORT_IN_USE', message, { hint, cause }));
    });
    server.listen(port, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port); // It listens on TCP.
    });
  });
}

/** Answers and upgraded sockets under way. The server forgets a socket when it is upgraded. */
interface BusyStreams {
  add(stream: ServerResponse | Duplex): void;
  whenIdle(): Promise<void>;
  destroy(): void;
}

function busyStreams(): BusyStreams {
  const busy = new Set<ServerResponse | Duplex>();
  let idle: () => void = () => undefined;
  return {
    add: (stream) => {
      const over = () => {
        busy.delete(stream);
        if (busy.size === 0) {
          idle();
        }
      };
      busy.add(stream);
      stream.on('close', over).on('finish', over);
    },
    whenIdle: () =>
      busy.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            idle = resolve;
          }),
    destroy: () => {
      for (const stream of [...busy]) {
        stream.destroy();
      }
    },
  };
}

async function closeWhenAsked(
  clock: Clock,
  server: Server,
  busy: BusyStreams,
  signal: AbortSignal,
): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const inTime = new AbortController();
  await Promise.race([busy.whenIdle(), clock.sleep(DRAIN_MS, inTime.signal)]);
  inTime.abort();
  server.closeAllConnections();
  busy.destroy();
  await closed;
}

interface Refused {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** What must be true before anything of a request is looked at. */
function refusalOf(deps: TlsListenerDeps, request: IncomingMessage): Refused | undefined {
  const { host, origin, authorization } = request.headers;
  const foreign = foreignReason(host, origin, 'https');
  if (foreign !== undefined) {
    return { status: 403, ...foreign };
  }
  if (!deps.auth.accepts(authorization)) {
    const message = 'A local token is needed: pipeops-agent kubeconfig --local';
    return { status: 401, code: 'LOCAL_TOKEN_REJECTED', message };
  }
  if (request.url?.startsWith(`${PREFIX}/`) !== true) {
    return { status: 404, code: 'NOT_FOUND', message: 'There is nothing here but /proxy/' };
  }
  return undefined;
}

function refusedBody(refused: Refused): string {
  return JSON.stringify({
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
    message: `pipeops-agent: ${refused.message}`,
    reason: refused.status === 401 ? 'Unauthorized' : 'Forbidden',
    details: { causes: [{ reason: refused.code, message: refused.message }] },
    code: refused.status,
  });
}

function requestOf(request: IncomingMessage) {
  return {
    method: request.method ?? 'GET',
    target: (request.url ?? '').slice(PREFIX.length),
    headers: rawHeaders(request),
    client: `tls:${(request.headers['user-agent'] ?? '').split('/')[0]?.slice(0, 64) ?? ''}`,
  };
}

function rawHeaders(request: IncomingMessage): HeaderList {
  const list: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    list.push([request.rawHeaders[at] ?? '', request.rawHeaders[at + 1] ?? '']);
  }
  return list;
}

function answerRequest(
  deps: TlsListenerDeps,
  request: IncomingMessage,
  response: ServerResponse,
  leaving: AbortSignal,
): void {
  const refused = refusalOf(deps, request);
  if (refused !== undefined) {
    response.writeHead(refused.status, { 'content-type': 'application/json' });
    response.end(refusedBody(refused));
    return;
  }
  const call = forward(
    deps.proxy,
    { ...requestOf(request), leaving },
    {
      head: (head) => {
        response.writeHead(head.status, head.reason, pairs(head.headers));
        response.flushHeaders();
      },
      data: (chunk) => {
        if (!response.write(chunk)) {
          call.pause();
        }
      },
      end: (trailers) => {
        if (trailers.length > 0) {
          response.addTrailers(pairs(trailers));
        }
        response.end();
      },
      // The head has gone out: only a broken connection can say that the answer is not whole.
      fail: () => response.destroy(),
      drained: () => request.resume(),
    },
  );
  response.on('drain', () => call.resume());
  response.on('close', () => call.abort());
  request.on('data', (chunk: Buffer) => {
    if (!call.write(chunk)) {
      request.pause();
    }
  });
  request.on('end', () => call.endRequest());
}

function answerUpgrade(
  deps: TlsListenerDeps,
  request: IncomingMessage,
  socket: Duplex,
  first: Buffer,
  leaving: AbortSignal,
): void {
  const refused = refusalOf(deps, request);
  if (refused !== undefined) {
    const body = refusedBody(refused);
    const headers: HeaderList = [
      ['Content-Type', 'application/json'],
      ['Content-Length', String(Buffer.byteLength(body))],
      ['Connection', 'close'],
    ];
    socket.end(headText({ status: refused.status, reason: 'Refused', headers }) + body);
    return;
  }
  const call = forward(
    deps.proxy,
    { ...requestOf(request), leaving },
    {
      head: (head) => {
        const close: HeaderList = head.status === 101 ? [] : [['Connection', 'close']];
        socket.write(headText({ ...head, headers: [...head.headers, ...close] }), 'latin1');
      },
      data: (chunk) => {
        if (!socket.write(chunk)) {
          call.pause();
        }
      },
      end: () => socket.end(),
      fail: () => socket.destroy(),
      drained: () => socket.resume(),
    },
  );
  socket.on('drain', () => call.resume());
  socket.on('close', () => call.abort());
  socket.on('error', () => call.abort()); // Told by `close` as well; without a listener it would throw.
  socket.on('end', () => {
    call.endRequest();
    socket.end(); // The runtime leaves an upgraded socket half open.
  });
  const send = (chunk: Buffer) => {
    if (!call.write(chunk)) {
      socket.pause();
    }
  };
  if (first.length > 0) {
    send(first);
  }
  socket.on('data', send);
}

function pairs(headers: HeaderList): [string, string][] {
  return headers.map(([name, value]) => [name, value]);
}

function headText(head: ResponseHead): string {
  const lines = head.headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${lines.join('')}\r\n`;
}
