/**
 * The admin side's HTTP server: of Node, because its upgrades and raw paths go through to clusters
 * byte for byte. `ANY /admin/agents/{id}/proxy/<path>` is the Kubernetes API of that agent's cluster.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type {
  ClusterAnswer,
  ClusterCall,
  ClusterRequest,
  FailureKind,
  ProxyPlane,
} from './proxy-plane.ts';

/** How long a request waits for an agent that is just not connected, as during its upgrade. */
const CONNECTION_WAIT_MS = 15_000;
const CONNECTION_CHECK_MS = 20;

const PROXY_PATH = /^\/admin\/agents\/([^/?]+)\/proxy(\/[^?]*)(?:\?(.*))?$/;
/** For one connection only (RFC 9110 section 7.6.1); those of upgrades are put back below. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'upgrade', 'transfer-encoding', 'host', 'te'];

export interface AdminServer extends AsyncDisposable {
  readonly port: number;
}

/** @throws at once when it cannot listen */
export function startAdminServer(
  listen: { readonly hostname: string; readonly port: number },
  plane: ProxyPlane,
  answer: (request: Request) => Promise<Response>,
): AdminServer {
  const server = createServer((request, response) => {
    const target = PROXY_PATH.exec(request.url ?? '');
    const work =
      target === null
        ? answerPlain(request, response, answer)
        : proxyRequest(plane, target, request, response);
    work.catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request, socket, first) => {
    upgraded.add(socket);
    socket.on('close', () => upgraded.delete(socket));
    socket.on('error', () => socket.destroy());
    const target = PROXY_PATH.exec(request.url ?? '');
    if (target === null) {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    } else {
      proxyUpgrade(plane, target, request, socket, first).catch(() => socket.destroy());
    }
  });
  server.listen(listen.port, listen.hostname); // Bun listens before it returns.
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) {
          socket.destroy();
        }
      }),
  };
}

async function answerPlain(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (request: Request) => Promise<Response>,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer); // Without an encoding the stream gives Buffers.
  }
  const { method = 'GET', url = '/' } = request;
  const body = chunks.length === 0 ? {} : { body: new Uint8Array(Buffer.concat(chunks)) };
  const own = `http://${request.headers.host ?? 'unknown'}`;
  const { origin } = request.headers;
  const headers: Record<string, string> = origin === undefined ? {} : { origin };
  const answered = await answer(new Request(`${own}${url}`, { method, headers, ...body }));
  response.writeHead(answered.status, Object.fromEntries(answered.headers));
  response.end(Buffer.from(await answered.arrayBuffer()));
}

function clusterRequest(target: RegExpExecArray, request: IncomingMessage): ClusterRequest {
  const headers: Record<string, string[]> = {};
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? '';
    if (!HOP_BY_HOP.includes(name.toLowerCase())) {
      headers[name] = [...(headers[name] ?? []), request.rawHeaders[at + 1] ?? ''];
    }
  }
  const upgrade = request.headers.upgrade !== undefined;
  if (upgrade) {
    headers['Connection'] = ['Upgrade'];
    headers['Upgrade'] = [request.headers.upgrade ?? ''];
  }
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return {
    method: request.method ?? 'GET',
    path: target[2] ?? '/',
    query: target[3] ?? '',
    headers,
    hasBody: encoding !== undefined || Number(length ?? 0) > 0,
    upgrade,
  };
}

/** Waits a while for an agent that is connecting. @param until monotonic ms */
async function connected(
  plane: ProxyPlane,
  asked: { readonly agentId: string; readonly wanted: ClusterRequest; readonly until: number },
  hasGone: () => boolean,
  answer: ClusterAnswer,
): Promise<ClusterCall | undefined> {
  const { agentId, wanted, until } = asked;
  for (;;) {
    const call = plane.request(agentId, wanted, answer);
    if (call !== undefined || performance.now() > until || hasGone()) {
      return call;
    }
    await Bun.sleep(CONNECTION_CHECK_MS);
  }
}

function questionOf(target: RegExpExecArray, request: IncomingMessage) {
  return {
    agentId: decodeURIComponent(target[1] ?? ''),
    wanted: clusterRequest(target, request),
    until: performance.now() + CONNECTION_WAIT_MS,
  };
}

/** Whether what came to nothing may be sent once more: nothing was done, or doing it twice is no harm. */
function mayAskAgain({ method, hasBody }: ClusterRequest, kind: FailureKind): boolean {
  const isSafe = method === 'GET' || method === 'HEAD';
  return !hasBody && (kind === 'unread' || (kind === 'lost' && isSafe));
}

async function proxyRequest(
  plane: ProxyPlane,
  target: RegExpExecArray,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = questionOf(target, request);
  const { wanted } = asked;
  let call: ClusterCall | undefined;
  const unavailable = () => {
    response.writeHead(503, { 'retry-after': '5', 'content-type': 'text/plain' });
    response.end('the agent is not connected\n');
  };
  const answer: ClusterAnswer = {
    ...promptly(response),
    fail: (error, kind) => {
      if (mayAskAgain(wanted, kind) && performance.now() < asked.until) {
        void ask(); // Of the agent that comes back.
      } else if (response.headersSent) {
        response.destroy();
      } else {
        response.writeHead(502, { 'content-type': 'text/plain' });
        response.end(`${error}\n`);
      }
    },
    drained: () => request.resume(),
  };
  const ask = async () => {
    call = await connected(plane, asked, () => response.destroyed, answer);
    if (call === undefined) {
      unavailable();
    }
  };
  await ask();
  response.on('drain', () => call?.consumed());
  response.on('close', () => call?.cancel());
  if (wanted.hasBody) {
    request.on('data', (chunk: Buffer) => {
      if (call?.write(chunk) === false) {
        request.pause();
      }
    });
    request.on('end', () => call?.endRequest());
  }
}

/** Sends everything at once, and what comes in one piece as one. */
function promptly(response: ServerResponse): Pick<ClusterAnswer, 'head' | 'data' | 'end'> {
  let isHeld = false;
  let held: Buffer | undefined;
  const letGo = () => {
    if (isHeld) {
      isHeld = false;
      response.flushHeaders();
      if (held !== undefined) {
        response.write(held);
      }
    }
  };
  return {
    head: (status, headers) => {
      response.writeHead(status, pairsOf(headers));
      isHeld = true;
      queueMicrotask(letGo);
    },
    data: (chunk) => {
      if (isHeld && held === undefined) {
        held = chunk;
        return true;
      }
      letGo();
      return response.write(chunk);
    },
    end: () => {
      if (isHeld) {
        isHeld = false;
        response.end(held);
      } else {
        response.end();
      }
    },
  };
}

async function proxyUpgrade(
  plane: ProxyPlane,
  target: RegExpExecArray,
  request: IncomingMessage,
  socket: Duplex,
  first: Buffer,
): Promise<void> {
  let open = false;
  const asked = questionOf(target, request);
  const call = await connected(plane, asked, () => request.destroyed, {
    head: (status, headers) => {
      open = status === 101;
      const close = open ? [] : [['Connection', 'close']];
      const lines = [...pairsOf(headers), ...close].map(([name, value]) => `${name}: ${value}`);
      socket.write(`HTTP/1.1 ${status} ${open ? 'Switching Protocols' : 'Refused'}\r\n`);
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    },
    data: (chunk) => socket.write(chunk),
    end: () => socket.end(),
    fail: () => socket.destroy(),
    drained: () => socket.resume(),
  });
  if (call === undefined) {
    socket.end('HTTP/1.1 503 Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  socket.on('drain', () => call.consumed());
  socket.on('close', () => call.cancel());
  const send = (chunk: Buffer) => {
    if (!call.write(chunk)) {
      socket.pause();
    }
  };
  if (first.length > 0) {
    send(first);
  }
  socket.on('data', send);
  socket.on('end', () => {
    call.endRequest();
    socket.end(); // The runtime leaves an upgraded socket half open.
  });
}

function pairsOf(headers: Readonly<Record<string, readonly string[]>>): [string, string][] {
  return Object.entries(headers).flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  );
}
