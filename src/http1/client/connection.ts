/**
 * One connection to the API server, or to an application, that carries one exchange at a time. It
 * is our own because fetch, and Node's client that is built on it here, rewrite paths, merge
 * repeated headers, drop trailers and cannot upgrade (docs/decisions/0010-own-http-client.md).
 */
import type { Socket } from 'bun';
import { AgentError } from '../../core/errors.ts';
import { troubleOf } from '../../core/trouble.ts';
import { type BodyReader, type BodySink, responseBodyReader } from '../body-framing.ts';
import { isLastAnswer } from '../connection-header.ts';
import { ANSWER_HEAD_LIMIT_BYTES, type HeaderList, parseResponseHead } from '../head.ts';
import { HeadBuffer } from '../head-buffer.ts';
import type { HeadRoom } from '../head-room.ts';
import type { UpstreamPeer } from './address.ts';
import type { Exchange, ExchangeSink } from './exchange.ts';

/** No byte in either direction for this long before the head of an answer: nobody is there, ms. */
const ANSWER_SILENCE_MS_MAX = 120_000;

/** What the pool wants to know of a connection. */
export interface ConnectionOwner {
  /** Monotonic ms. */
  now(): number;
  /** Of all connections. */
  readonly headRoom: HeadRoom;
  /** The exchange is over and another one may begin. */
  idle(connection: UpstreamConnection): void;
  closed(connection: UpstreamConnection): void;
}

const NO_TRAILERS: HeaderList = [];
const NOTHING = Buffer.alloc(0);

/** The state of an exchange; also the handle that the caller has of it. */
class RunningExchange implements Exchange, BodySink {
  /** Undefined until the head of the answer is there. */
  reader: BodyReader | undefined;
  requestWhole = false;
  answerWhole = false;
  /** The bytes are those of another protocol now. */
  upgraded = false;

  get isAnswered(): boolean {
    return this.reader !== undefined || this.upgraded;
  }

  /** The connection ends with this exchange. */
  lastOne = false;
  readonly method: string;
  readonly sink: ExchangeSink;
  readonly #connection: UpstreamConnection;

  constructor(connection: UpstreamConnection, method: string, sink: ExchangeSink) {
    this.#connection = connection;
    this.method = method;
    this.sink = sink;
  }

  data(chunk: Buffer): void {
    this.sink.data(chunk);
  }

  end(trailers: HeaderList): void {
    this.answerWhole = true;
    this.sink.end(trailers);
  }

  write(chunk: Uint8Array): boolean {
    return this.#connection.isRunning(this) && this.#connection.send(chunk);
  }

  endRequest(): void {
    this.requestWhole = true;
  }

  pause(): void {
    if (this.#connection.isRunning(this)) {
      this.#connection.socket.pause();
    }
  }

  resume(): void {
    if (this.#connection.isRunning(this)) {
      this.#connection.socket.resume();
    }
  }

  abort(): void {
    this.#connection.giveUp(this);
  }
}

/** What it needs of a socket. */
type UpstreamSocket = Pick<Socket, 'write' | 'pause' | 'resume' | 'terminate'>;

export class UpstreamConnection {
  readonly socket: UpstreamSocket;
  readonly peer: UpstreamPeer;
  readonly #owner: ConnectionOwner;
  #running: RunningExchange | undefined;
  #used = false;
  #open = true;
  readonly #head: HeadBuffer;
  #unsent: Uint8Array[] = [];
  /** When something was last sent for a request whose answer has not begun. */
  #waitingSince: number | undefined;

  constructor(socket: UpstreamSocket, owner: ConnectionOwner, peer: UpstreamPeer) {
    this.socket = socket;
    this.peer = peer;
    this.#owner = owner;
    this.#head = new HeadBuffer(owner.headRoom, ANSWER_HEAD_LIMIT_BYTES);
  }

  /** Whether it has carried an exchange: the server may have closed it while it was idle. */
  get isReused(): boolean {
    return this.#used;
  }

  /** @param head encoded by encodeRequestHead. One exchange at a time. */
  begin(method: string, head: Uint8Array, sink: ExchangeSink): Exchange {
    if (this.#running !== undefined) {
      throw new AgentError('INTERNAL', 'A connection was asked for two exchanges at once');
    }
    const exchange = new RunningExchange(this, method, sink);
    this.#running = exchange;
    this.send(head);
    return exchange;
  }

  isRunning(exchange: RunningExchange): boolean {
    return this.#running === exchange;
  }

  /** Gives up an exchange whose answer does not begin. */
  checkSilence(): void {
    const since = this.#waitingSince;
    if (since !== undefined && this.#owner.now() - since >= ANSWER_SILENCE_MS_MAX) {
      this.#fail(
        new AgentError('TIMEOUT', `No answer came in ${ANSWER_SILENCE_MS_MAX} ms`, {
          hint: 'Look at the load of the machine and at: journalctl -u k3s',
        }),
      );
    }
  }

  /** @returns whether all of it was taken by the system */
  send(bytes: Uint8Array): boolean {
    if (this.#running?.isAnswered === false) {
      this.#waitingSince = this.#owner.now();
    }
    if (this.#unsent.length > 0) {
      this.#unsent.push(bytes);
      return false;
    }
    const taken = Math.max(this.socket.write(bytes), 0);
    if (taken < bytes.length) {
      this.#unsent.push(bytes.subarray(taken));
      return false;
    }
    return true;
  }

  /** The system takes bytes again. */
  flush(): void {
    const waiting = this.#unsent;
    this.#unsent = [];
    for (const bytes of waiting) {
      this.send(bytes); // What is not taken queues up again, in order.
    }
    if (this.#unsent.length === 0) {
      this.#running?.sink.drained();
    }
  }

  received(bytes: Buffer): void {
    const exchange = this.#running;
    if (exchange === undefined) {
      this.close(); // An answer that nobody asked for.
      return;
    }
    try {
      this.#take(exchange, bytes);
    } catch (thrown) {
      this.#fail(
        thrown instanceof AgentError ? thrown : brokenAnswer(this.peer, troubleOf(thrown)),
      );
    }
  }

  /** The other side, or the network, has ended the connection. */
  ended(): void {
    const cut = this.#running;
    this.#running = undefined;
    this.#close();
    if (cut === undefined) {
      return;
    }
    if (cut.upgraded) {
      cut.sink.end(NO_TRAILERS);
    } else if (cut.reader?.closed(cut) !== true) {
      const { code, name, hint } = this.peer;
      const error = new AgentError(code, `${name} closed the connection too early`, { hint });
      cut.sink.fail(error);
    }
  }

  /** Something went wrong that has no better name. */
  broken(error: Error): void {
    this.#fail(brokenAnswer(this.peer, error.message));
  }

  /** The caller has no use for the answer: the rest of it must not be read as another one's. */
  giveUp(exchange: RunningExchange): void {
    if (this.#running === exchange) {
      this.#running = undefined;
      this.#waitingSince = undefined;
      this.close();
    }
  }

  close(): void {
    this.socket.terminate();
    this.#close();
  }

  #close(): void {
    if (this.#open) {
      this.#open = false;
      this.#head.release();
      this.#owner.closed(this);
    }
  }

  #fail(error: AgentError): void {
    const failed = this.#running;
    this.#running = undefined;
    this.#waitingSince = undefined;
    this.close();
    failed?.sink.fail(error);
  }

  #take(exchange: RunningExchange, bytes: Buffer): void {
    let rest: Buffer | undefined = bytes;
    while (!exchange.isAnswered) {
      rest = this.#takeHead(exchange, rest);
      if (rest === undefined || this.#running !== exchange) {
        return; // Not whole yet; or it has been given up because of its head.
      }
    }
    if (exchange.upgraded) {
      if (rest.length > 0) {
        exchange.sink.data(rest);
      }
      return;
    }
    const behind = exchange.reader?.read(rest, exchange);
    if (behind !== undefined && behind.length > 0) {
      exchange.lastOne = true; // Nobody asked for more: the server is out of step.
    }
    this.#finishIfWhole(exchange);
  }

  /** @returns the bytes behind a head, undefined while it is not whole */
  #takeHead(exchange: RunningExchange, bytes: Buffer): Buffer | undefined {
    const taken = this.#head.take(bytes);
    if (taken === 'not whole') {
      return undefined;
    }
    if (typeof taken === 'string') {
      throw new Error(taken === 'too long' ? 'its head is too long' : 'its head is too long now');
    }
    const head = parseResponseHead(taken.head);
    this.#head.release(); // The head of an answer is passed on at once.
    // A 1xx only announces the head to come (RFC 9110 section 15.2), except the one of upgrades.
    if (head.status === 101) {
      this.#waitingSince = undefined;
      exchange.upgraded = true;
      exchange.lastOne = true;
      exchange.sink.head(head);
    } else if (head.status >= 200) {
      this.#waitingSince = undefined;
      exchange.lastOne = isLastAnswer(head.headers);
      exchange.reader = responseBodyReader(head, exchange.method);
      exchange.sink.head(head);
    }
    return taken.behind ?? NOTHING;
  }

  #finishIfWhole(exchange: RunningExchange): void {
    if (!exchange.answerWhole || this.#running !== exchange) {
      return;
    }
    this.#running = undefined;
    this.#used = true;
    // Answered before the request was whole: the rest of it must not be read as another request.
    if (exchange.lastOne || !exchange.requestWhole || this.#unsent.length > 0) {
      this.close();
    } else {
      this.socket.resume();
      this.#owner.idle(this);
    }
  }
}

function brokenAnswer({ code, name, answerHint }: UpstreamPeer, why: string): AgentError {
  return new AgentError(code, `${name} sent an answer that cannot be read: ${why}`, {
    hint: answerHint,
  });
}
