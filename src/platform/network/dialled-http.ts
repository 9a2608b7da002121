/** HTTP calls to a control plane over kept sockets of `dialSocket`. */
import { Agent, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import type { Socket } from 'node:net';
import { AgentError } from '../../core/errors.ts';
import type { Http, HttpRequestInit } from '../../core/ports.ts';
import { dialError } from './dial-error.ts';
import type { DialOptions } from './dial-options.ts';
import { dialSocket } from './socket-dialer.ts';
import { dialStream } from './stream-dialer.ts';

/** Kept connections to one server; more calls at once wait. */
const SOCKETS_MAX = 8;
/** An idle connection is closed after this; shorter than the usual 60 s of load balancers. */
const IDLE_TIMEOUT_MS = 45_000;

type OnSocket = (error: Error | null, socket?: Socket) => void;

export interface DialledHttp {
  readonly http: Http;
  /** Ends every connection. */
  close(): void;
}

export function dialledHttp(options: DialOptions): DialledHttp {
  const agentOptions = { keepAlive: true, maxSockets: SOCKETS_MAX, timeout: IDLE_TIMEOUT_MS };
  const plain = dialling(new Agent(agentOptions), 'http:', options);
  const secure = dialling(new SecureAgent(agentOptions), 'https:', options);
  return {
    http: agentHttp(plain, secure),
    close: () => {
      plain.destroy();
      secure.destroy();
    },
  };
}

/** Makes the agent take its sockets from our dialer. */
function dialling<A extends Agent>(agent: A, protocol: string, options: DialOptions): A {
  const createConnection = (target: { host?: string; port?: number }, onSocket: OnSocket) => {
    const host = target.host?.includes(':') ? `[${target.host}]` : target.host;
    const address = new URL(`${protocol}//${host}:${target.port}`);
    dialSocket(address, options).then(
      (socket) => onSocket(null, socket),
      async (thrown: unknown) => onSocket(await explained(thrown, address, options)),
    );
  };
  return Object.assign(agent, { createConnection });
}

/** Bun shows the certificate that it refused only on sockets of its own: one is dialled to see it. */
async function explained(thrown: unknown, address: URL, options: DialOptions): Promise<Error> {
  const error = dialError(thrown, address, options);
  if (error.trouble.kind !== 'authority' || error.trouble.proxy !== '') {
    return error;
  }
  try {
    (await dialStream(address, options)).destroy();
    return error; // It has another certificate by now.
  } catch (seen) {
    return dialError(seen, address, options);
  }
}

function agentHttp(plain: Agent, secure: SecureAgent): Http {
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const isSecure = url.startsWith('https:');
      const request = (isSecure ? secureRequest : plainRequest)(url, {
        agent: isSecure ? secure : plain,
        method: init.method ?? 'GET',
        headers: Object.fromEntries(new Headers(init.headers)),
        ...(init.signal ? { signal: init.signal } : {}),
      });
      request.on('error', reject);
      request.on('response', (message) => {
        if (isStatus(message.statusCode)) {
          resolve(responseOf(message));
        } else {
          message.destroy();
          reject(notHttp(`the status ${message.statusCode}`));
        }
      });
      // Nobody here asks for an upgrade; without a listener nothing would report one.
      request.on('upgrade', (_message, socket) => {
        socket.destroy();
        reject(notHttp('an upgrade that nobody asked for'));
      });
      sendBody(request, init.body).catch((error: Error) => request.destroy(error));
    });
}

async function sendBody(
  request: NodeJS.WritableStream,
  body: HttpRequestInit['body'],
): Promise<void> {
  if (body instanceof ReadableStream) {
    for await (const chunk of body) {
      if (!request.write(chunk)) {
        await new Promise<void>((resolve) => {
          request.once('drain', resolve);
          request.once('close', resolve);
        });
      }
    }
    request.end();
  } else if (typeof body === 'string') {
    request.end(body);
  } else {
    request.end();
  }
}

/** Whether a Response takes the status. A 1xx only announces an answer. */
function isStatus(status = 0): boolean {
  return status >= 200 && status <= 599;
}

function notHttp(what: string): AgentError {
  return new AgentError(
    'CONTROL_PLANE_ERROR',
    `What answers sends ${what}: it is no control plane`,
    {
      hint: 'Check its address, and what stands before it: a proxy, a firewall, a load balancer',
    },
  );
}

/** Statuses whose answer has no body (RFC 9110 section 6.4.1). */
const WITHOUT_BODY = [204, 205, 304];

function responseOf(message: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) {
    headers.set(name, Array.isArray(value) ? value.join(', ') : (value ?? ''));
  }
  const status = message.statusCode ?? 0;
  if (WITHOUT_BODY.includes(status)) {
    message.resume();
    return new Response(null, { status, headers });
  }
  return new Response(bodyOf(message), { status, headers });
}

/** Not `Readable.toWeb`: its type is that of Node's streams, which a Response does not take. */
function bodyOf(message: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks = message[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await chunks.next();
      if (done === true) {
        controller.close();
      } else {
        controller.enqueue(value);
      }
    },
    cancel: () => {
      message.destroy();
    },
  });
}
