/**
 * Carries one request to the API server and its answer back, streaming both ways. Every door uses
 * it: the plain doors, the TLS listener, and the session with the control plane.
 */
import { AgentError, toAgentError } from '../core/errors.ts';
import { LAST_CHUNK, writeChunk } from '../http1/chunked-body.ts';
import type { UpstreamAddress } from '../http1/client/address.ts';
import type { UpstreamConnection } from '../http1/client/connection.ts';
import type { Exchange, ExchangeSink } from '../http1/client/exchange.ts';
import type { UpstreamPool } from '../http1/client/pool.ts';
import {
  encodeRequestHead,
  type HeaderList,
  REQUEST_ADVICE,
  type ResponseHead,
} from '../http1/head.ts';
import type { ProxyCall, ProxyRequest } from '../http1/server/call.ts';
import { requireAllowed } from '../policy/decision.ts';
import type { Destination } from './destination.ts';
import { KUBERNETES_PEER } from './kubernetes-destination.ts';
import { shuttingDown, statusAnswer } from './refusal.ts';
import { type ForwardedHeaders, forwardedHeaders, returnedHeaders } from './request-headers.ts';
import type { Release, RequestKind, Turns } from './turns.ts';

export interface ForwardDeps {
  readonly pool: UpstreamPool;
  readonly turns: Turns;
  readonly destination: Destination;
  readonly measure: MeasureRequest;
  /** Absent where no traces are made. */
  readonly trace?: TraceRequest | undefined;
}

/** Told when a request begins. What it gives is told once how it ended. */
export type MeasureRequest = (request: ProxyRequest) => (end: RequestEnd) => void;

export interface RequestEnd {
  readonly kind: RequestKind;
  /** Of the answer; undefined where the caller went before there was one. */
  readonly status: number | undefined;
}

/** Told when a request begins. Undefined: it is not traced. */
export type TraceRequest = (request: ProxyRequest) => TracedRequest | undefined;

interface TracedRequest {
  /** Those of the request, with itself as the cause of what follows. */
  readonly headers: HeaderList;
  /** @param path of the Kubernetes API; undefined of an application, and where it is not known yet */
  readonly ended: (end: RequestEnd, path: string | undefined) => void;
}

/** Streams have a connection of their own until somebody ends them. */
const STREAM_QUERY = /[?&](?:watch|follow)=(?:1|t|true)(?:&|$)/i;

/**
 * Methods that may be sent twice (RFC 9110 section 9.2.1): nobody knows how far a lost request got.
 */
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Starts a request. Everything that happens to it goes to the sink; a refusal goes there as an
 * answer.
 */
export function forward(deps: ForwardDeps, request: ProxyRequest, sink: ExchangeSink): ProxyCall {
  const forwarding = new Forwarding(deps, request, sink);
  forwarding.start();
  return forwarding;
}

/** A request under way, as long as its answer has not begun: after that it cannot be sent again. */
interface Attempt {
  readonly head: Buffer;
  readonly address: UpstreamAddress;
  /** The server may have closed the connection while it was idle, before it saw the request. */
  readonly mayBeDead: boolean;
}

/** The caller's handle on a request, and the sink of the connection that carries it. */
class Forwarding implements ProxyCall, ExchangeSink {
  readonly #deps: ForwardDeps;
  readonly #request: ProxyRequest;
  readonly #sink: ExchangeSink;
  #over = false;
  /** Set only while it waits for its turn. */
  #waiting: AbortController | undefined;
  #release: Release | undefined;
  #exchange: Exchange | undefined;
  #body: ForwardedHeaders['body'] = 'none';
  /** asked: bytes are kept until the 101, so that they are not taken for a body. */
  #upgrade: 'no' | 'asked' | 'done' = 'no';
  /**
   * Body bytes that came before there was a connection: one read of the door, which is then told to
   * wait.
   */
  #early: Uint8Array[] = [];
  #sentBytes = 0;
  #requestWhole = false;
  #attempt: Attempt | undefined;
  #answered = false;
  #retried = false;
  #leave: (() => void) | undefined;
  #kind: RequestKind = 'short';
  #status: number | undefined;
  #path: string | undefined;
  readonly #ended: (end: RequestEnd) => void;

  constructor(deps: ForwardDeps, request: ProxyRequest, sink: ExchangeSink) {
    this.#deps = deps;
    this.#sink = sink;
    const measured = deps.measure(request);
    const traced = deps.trace?.(request);
    this.#request = traced === undefined ? request : { ...request, headers: traced.headers };
    this.#ended = (end) => {
      measured(end);
      traced?.ended(end, this.#path);
    };
  }

  start(): void {
    this.#run().catch((thrown: unknown) => this.#refuse(toAgentError(thrown)));
  }

  async #run(): Promise<void> {
    const { method, target, client } = this.#request;
    const { destination } = this.#deps;
    // Awaited even when known: the caller needs its `ProxyCall` before it can be given a refusal.
    const location = await destination.locate();
    this.#path = location.token === undefined ? undefined : target.split('?', 1)[0];
    const forwarded = forwardedHeaders(this.#request.headers, location.host, location.token);
    requireAllowed(destination.allow(method, target, forwarded.upgrade));
    this.#body = forwarded.body;
    this.#upgrade = forwarded.upgrade ? 'asked' : 'no';
    if (forwarded.upgrade && forwarded.body !== 'none') {
      throw new AgentError(
        'PROXY_REQUEST_INVALID',
        'An upgrade cannot have a body',
        REQUEST_ADVICE,
      );
    }
    const head = encodeRequestHead(method, target, forwarded.headers);
    const isStream = STREAM_QUERY.test(target);
    // Only the application knows what its query means.
    if (forwarded.upgrade || (isStream && location.token !== undefined)) {
      this.#endAtLeave();
    }
    this.#kind = forwarded.upgrade || isStream ? 'stream' : 'short';
    this.#release = this.#deps.turns.tryEnter(client, this.#kind) ?? (await this.#waitForTurn());
    if (this.#over) {
      this.#finish(); // The caller has gone while it waited.
      return;
    }
    const { pool } = this.#deps;
    // An upgrade is never sent twice, even as a GET, so it needs a connection that cannot be dead
    // already.
    const found = forwarded.upgrade ? pool.fresh(location.address) : pool.acquire(location.address);
    this.#begin(found instanceof Promise ? await found : found, head, location.address);
  }

  async #waitForTurn(): Promise<Release> {
    this.#waiting = new AbortController();
    return await this.#deps.turns.waitForTurn(this.#request.client, this.#waiting.signal);
  }

  #begin(connection: UpstreamConnection, head: Buffer, address: UpstreamAddress): void {
    if (this.#over) {
      connection.close(); // The caller has gone meanwhile.
      return;
    }
    const isRepeatable = this.#body === 'none' && SAFE_METHODS.includes(this.#request.method);
    const mayBeDead = connection.isReused && isRepeatable && !this.#retried;
    this.#attempt = { head, address, mayBeDead };
    this.#exchange = connection.begin(this.#request.method, head, this);
    if (this.#upgrade === 'no') {
      this.#sendEarly();
    }
  }

  #sendEarly(): void {
    const early = this.#early;
    this.#early = [];
    let room = true;
    for (const chunk of early) {
      room = this.#send(chunk);
    }
    if (this.#requestWhole) {
      this.#endRequest();
    } else if (room && early.length > 0) {
      this.#sink.drained();
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over || chunk.length === 0) {
      return true; // After an early answer the rest of the body is not wanted any more.
    }
    if (this.#requestWhole) {
      // The API server would read these bytes as the beginning of another request.
      this.#refuse(
        new AgentError('PROXY_REQUEST_INVALID', 'The body goes on behind its end', REQUEST_ADVICE),
      );
      this.#exchange?.abort();
      return true;
    }
    if (this.#exchange === undefined || this.#upgrade === 'asked') {
      this.#early.push(new Uint8Array(chunk));
      return false;
    }
    return this.#send(chunk);
  }

  #send(chunk: Uint8Array): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      return true;
    }
    if (this.#upgrade === 'done') {
      return exchange.write(chunk);
    }
    if (this.#body === 'chunked') {
      return writeChunk(exchange, chunk);
    }
    this.#sentBytes += chunk.length;
    if (this.#body === 'none' || this.#sentBytes > this.#body.bytes) {
      this.#refuse(
        new AgentError(
          'PROXY_REQUEST_INVALID',
          'The body is longer than announced',
          REQUEST_ADVICE,
        ),
      );
      exchange.abort();
      return true;
    }
    return exchange.write(chunk);
  }

  endRequest(): void {
    this.#requestWhole = true;
    if (this.#exchange !== undefined) {
      this.#endRequest();
    }
  }

  #endRequest(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#over) {
      return;
    }
    if (this.#upgrade !== 'no') {
      this.abort(); // The protocols behind an upgrade know no half-closed connection.
      return;
    }
    if (this.#body === 'chunked') {
      exchange.write(LAST_CHUNK);
    } else if (this.#body !== 'none' && this.#sentBytes < this.#body.bytes) {
      this.#refuse(
        new AgentError(
          'PROXY_REQUEST_INVALID',
          'The body is shorter than announced',
          REQUEST_ADVICE,
        ),
      );
      exchange.abort();
      return;
    }
    exchange.endRequest();
  }

  pause(): void {
    this.#exchange?.pause();
  }

  resume(): void {
    this.#exchange?.resume();
  }

  abort(): void {
    if (!this.#over) {
      this.#finish();
      this.#exchange?.abort();
    }
  }

  // --- From the connection ---

  head(answer: ResponseHead): void {
    if (answer.status === 101 && this.#upgrade !== 'asked') {
      // Otherwise the caller's next bytes would reach the API server unchecked, past the policy.
      const { code, name, answerHint } = this.#attempt?.address.peer ?? KUBERNETES_PEER;
      const message = `${name} upgraded what was no upgrade`;
      this.#refuse(new AgentError(code, message, { hint: answerHint }));
      this.#exchange?.abort();
      return;
    }
    this.#answered = true;
    this.#status = answer.status;
    this.#attempt = undefined;
    if (answer.status === 401) {
      this.#deps.destination.unauthorized();
    }
    if (answer.status === 101) {
      this.#upgrade = 'done';
      this.#sink.head(answer);
      this.#sendEarly();
      return;
    }
    this.#upgrade = 'no';
    this.#early = [];
    this.#sink.head({ ...answer, headers: returnedHeaders(answer.headers) });
  }

  data(chunk: Buffer): void {
    this.#sink.data(chunk);
  }

  drained(): void {
    this.#sink.drained();
  }

  end(trailers: HeaderList): void {
    this.#finish();
    this.#sink.end(trailers);
  }

  fail(error: AgentError): void {
    const attempt = this.#attempt;
    if (attempt?.mayBeDead !== true || this.#over) {
      this.#refuse(error);
      return;
    }
    // Nothing was done, so it may be sent again.
    const { head, address } = attempt;
    this.#retried = true;
    this.#deps.pool
      .fresh(address)
      .then((fresh) => this.#begin(fresh, head, address))
      .catch((thrown: unknown) => this.#refuse(toAgentError(thrown)));
  }

  #refuse(error: AgentError): void {
    if (this.#over) {
      return;
    }
    if (this.#answered) {
      this.#finish();
      this.#sink.fail(error);
      return;
    }
    const { head, body } = statusAnswer(error);
    this.#status = head.status;
    this.#finish();
    this.#sink.head(head);
    this.#sink.data(body);
    this.#sink.end([]);
  }

  /** @throws AgentError SHUTTING_DOWN */
  #endAtLeave(): void {
    const { leaving } = this.#request;
    if (leaving?.aborted === true) {
      throw shuttingDown();
    }
    this.#leave = () => this.#endHere();
    leaving?.addEventListener('abort', this.#leave, { once: true });
  }

  #endHere(): void {
    const exchange = this.#exchange;
    if (this.#answered) {
      this.#finish();
      this.#sink.end([]);
    } else {
      this.#refuse(shuttingDown());
    }
    exchange?.abort();
  }

  #finish(): void {
    if (!this.#over) {
      this.#ended({ kind: this.#kind, status: this.#status });
    }
    this.#over = true;
    if (this.#leave !== undefined) {
      this.#request.leaving?.removeEventListener('abort', this.#leave);
    }
    this.#waiting?.abort();
    this.#release?.();
    this.#release = undefined;
  }
}
