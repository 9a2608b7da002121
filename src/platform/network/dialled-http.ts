/** HTTP calls to a control plane, and downloads, over kept connections of `dialStream`. */
import { AgentError } from '../../core/errors.ts';
import type { Http, HttpRequestInit } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { LAST_CHUNK, writeChunk } from '../../http1/chunked-body.ts';
import type { Exchange, ExchangeSink } from '../../http1/client/exchange.ts';
import { encodeRequestHead, type ResponseHead } from '../../http1/head.ts';
import type { DialOptions } from './dial-options.ts';
import { type KeptConnection, type KeptConnections, keptConnections } from './kept-connections.ts';

/** Bytes of an answer that wait for its reader; then the server waits. */
const UNREAD_BYTES_MAX = 256 * 1024;

/** Statuses whose answer has no body (RFC 9110 section 6.4.1). */
const WITHOUT_BODY = [204, 205, 304];

const NEVER = new AbortController().signal;

export interface DialledHttp {
  readonly http: Http;
  /** Ends every connection. */
  close(): void;
}

export function dialledHttp(options: DialOptions): DialledHttp {
  /** By origin. There are few: a control plane, its gateway, where downloads come from. */
  const servers = new Map<string, KeptConnections>();
  const connectionsTo = (address: URL): KeptConnections => {
    const known = servers.get(address.origin) ?? keptConnections(address, options);
    servers.set(address.origin, known);
    return known;
  };
  return {
    http: async (url, init = {}) => {
      const address = new URL(url);
      const head = requestHead(address, init); // What cannot be sent needs no connection.
      const connection = await connectionsTo(address).acquire(init.signal ?? NEVER);
      return await call(connection, head, init);
    },
    close: () => {
      for (const connections of servers.values()) {
        connections.close();
      }
    },
  };
}

function requestHead(address: URL, init: HttpRequestInit): Buffer {
  const { method = 'GET', body } = init;
  const own: (readonly [string, string])[] = [['Host', address.host]];
  if (body instanceof ReadableStream) {
    own.push(['Transfer-Encoding', 'chunked']);
  } else if (body != null || method !== 'GET') {
    own.push(['Content-Length', String(bytesOf(body).length)]);
  }
  const headers = [...own, ...new Headers(init.headers)];
  return encodeRequestHead(method, `${address.pathname}${address.search}`, headers);
}

/** One call over a connection that carries nothing else until its answer is whole. */
async function call(
  connection: KeptConnection,
  head: Buffer,
  { method = 'GET', body, signal }: HttpRequestInit,
): Promise<Response> {
  const answer = new Answer(signal ?? NEVER);
  const exchange = connection.begin(method, head, answer);
  answer.begin(exchange);
  sendBody(connection, exchange, body).catch((thrown: unknown) => answer.giveUp(thrown));
  return await answer.response;
}

/** What becomes of a call: a response whose body is read as it comes, or an error. */
class Answer implements ExchangeSink {
  readonly #signal: AbortSignal;
  readonly #response = Promise.withResolvers<Response>();
  #exchange: Exchange | undefined;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get response(): Promise<Response> {
    return this.#response.promise;
  }

  begin(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal.aborted) {
      this.#onAbort(); // Since it got its connection.
    }
  }

  readonly #onAbort = () => this.giveUp(this.#signal.reason);

  giveUp(reason: unknown): void {
    this.#exchange?.abort();
    this.#fail(reason);
  }

  // --- From the connection ---

  head(head: ResponseHead): void {
    if (head.status === 101) {
      this.giveUp(unaskedUpgrade());
    } else {
      const body = WITHOUT_BODY.includes(head.status) ? null : this.#openBody();
      this.#response.resolve(new Response(body, { status: head.status, headers: headersOf(head) }));
    }
  }

  data(chunk: Buffer): void {
    this.#body?.enqueue(new Uint8Array(chunk)); // A copy: its memory is used again.
    if ((this.#body?.desiredSize ?? 1) <= 0) {
      this.#exchange?.pause();
    }
  }

  end(): void {
    this.#body?.close();
    this.#forget();
  }

  /** An error without a code: only who called knows what it means. */
  fail(error: AgentError): void {
    this.#fail(new Error(troubleOf(error)));
  }

  drained(): void {
    // Who writes waits for `room`.
  }

  #openBody(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#body = controller;
        },
        pull: () => this.#exchange?.resume(),
        cancel: () => {
          this.#forget();
          this.#exchange?.abort();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: UNREAD_BYTES_MAX }),
    );
  }

  #fail(error: unknown): void {
    this.#body?.error(error);
    this.#forget();
    this.#response.reject(error); // Without effect once the answer has begun.
  }

  #forget(): void {
    this.#body = undefined;
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

async function sendBody(
  connection: KeptConnection,
  exchange: Exchange,
  body: HttpRequestInit['body'],
): Promise<void> {
  if (body instanceof ReadableStream) {
    for await (const chunk of body) {
      if (chunk.length > 0) {
        writeChunk(exchange, chunk); // An empty one would be the last.
        if (!(await connection.room())) {
          break; // Nobody reads the rest: its source is told so.
        }
      }
    }
    exchange.write(LAST_CHUNK);
  } else if (bytesOf(body).length > 0) {
    exchange.write(bytesOf(body));
  }
  exchange.endRequest();
}

/** @throws Error for what nobody here sends: a form, for example */
function bytesOf(body: Exclude<HttpRequestInit['body'], ReadableStream>): Uint8Array {
  if (body == null || typeof body === 'string') {
    return Buffer.from(body ?? '');
  }
  if (body instanceof Uint8Array) {
    return body;
  }
  throw new Error('only texts, bytes and streams can be sent');
}

function unaskedUpgrade(): AgentError {
  return new AgentError(
    'CONTROL_PLANE_ERROR',
    'What answers sends an upgrade that nobody asked for: it is no control plane',
    {
      hint: 'Check its address, and what stands before it: a proxy, a firewall, a load balancer',
    },
  );
}

function headersOf({ headers: given }: ResponseHead): Headers {
  const headers = new Headers();
  for (const [name, value] of given) {
    headers.append(name, value);
  }
  return headers;
}
