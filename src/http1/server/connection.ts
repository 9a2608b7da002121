/**
 * One connection of a client: requests one after the other, each with its answer. It is our own
 * because Bun.serve normalises paths and cannot hand over a connection, and node:https takes twice
 * the time (docs/decisions/0017-own-http-server.md). Anything that could be read in two ways ends
 * the connection.
 */
import type { Socket } from 'bun';
import { releaseBuffer } from '../../core/release-buffer.ts';
import { troubleOf } from '../../core/trouble.ts';
import type { ExchangeSink } from '../client/exchange.ts';
import {
  encodeResponseHead,
  HEAD_LIMIT_BYTES,
  type HeaderList,
  HeadTooLarge,
  parseRequestHead,
  type RequestHead,
} from '../head.ts';
import { HeadBuffer, type HeadTrouble } from '../head-buffer.ts';
import type { HeadRoom } from '../head-room.ts';
import type { ProxyCall } from './call.ts';
import { ServedRequest, type ServedRequestOwner } from './served-request.ts';
import { SocketOutput } from './socket-output.ts';

/**
 * Time for a head of a request, for TLS before the first one, for a body that nobody wants, and for
 * a client to close its side after ours, ms.
 */
const RECEIVE_MS_MAX = 20_000;
/** An idle connection is kept for this long, ms. */
const KEEP_ALIVE_MS = 120_000;

const BREAK = '\r\n';
const JSON_HEADERS: HeaderList = [['Content-Type', 'application/json']];

const HEAD_TROUBLES: Readonly<Record<HeadTrouble, string>> = {
  'too long': `its head is longer than ${HEAD_LIMIT_BYTES} bytes`,
  'no room': 'its head is large, and so are those of too many others now; try again',
};

/** Why a request is not looked at any further. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
  /** Beside its length; when absent it is JSON. */
  readonly headers?: HeaderList;
}

/** What makes a door the one it is. */
export interface DoorDeps {
  readonly admit: (head: RequestHead) => Refusal | undefined;
  /** Tells the sink nothing before it has returned. @throws Error for a request that cannot be read */
  readonly begin: (head: RequestHead, sink: ExchangeSink) => ProxyCall;
  readonly malformed: (status: number, message: string) => Refusal;
  /** Of all connections of the door. */
  readonly headRoom: HeadRoom;
}

export interface ConnectionDeps extends DoorDeps {
  /** Monotonic ms. */
  readonly now: () => number;
  /** Made by `joiningRoom`, for all connections of the door. */
  readonly joiningRoom: Buffer;
  /** Called when a connection may have become idle. */
  readonly idle: () => void;
}

/** What is used of a socket. */
export type ConnectionSocket = Pick<
  Socket,
  'write' | 'shutdown' | 'end' | 'terminate' | 'pause' | 'resume'
>;

export class DoorConnection implements ServedRequestOwner {
  readonly output: SocketOutput;
  readonly #deps: ConnectionDeps;
  readonly #socket: ConnectionSocket;
  #served: ServedRequest | undefined;
  readonly #head: HeadBuffer;
  /** Came while an answer was under way; the socket is paused meanwhile. */
  #ahead: Buffer | undefined;
  #isFresh = true;
  #isLeaving = false;
  #isEnding = false;
  #since: number;
  /** How long what is expected next may take; infinite when nothing is. */
  #limitMs = RECEIVE_MS_MAX;

  constructor(deps: ConnectionDeps, socket: ConnectionSocket) {
    this.#deps = deps;
    this.#socket = socket;
    this.output = new SocketOutput(socket, deps.joiningRoom);
    this.#head = new HeadBuffer(deps.headRoom);
    this.#since = deps.now();
  }

  /** A request is under way, or its answer has not left yet. */
  get isBusy(): boolean {
    return this.#served !== undefined || this.output.isBlocked;
  }

  /** It is open, and the client's next request has not come yet. */
  get isWaiting(): boolean {
    return this.#served === undefined && !this.#isEnding;
  }

  /** No request has come yet. */
  get isFresh(): boolean {
    return this.#isFresh;
  }

  /** The request that is under way, or else the next one, is the last one. */
  leave(): void {
    this.#isLeaving = true;
    this.#served?.leave();
  }

  /** Ends it unless a request is under way. */
  endIfWaiting(): void {
    if (this.isWaiting) {
      this.#end();
    }
  }

  /**
   * Ends it when something takes too long. It is never broken off: what has been sent may not have
   * been read yet, and would be lost.
   */
  checkTime(): void {
    if (this.output.isBlocked) {
      this.#within(this.#limitMs); // A slow reader has all the time it needs, as during the answer.
    } else if (this.#deps.now() - this.#since < this.#limitMs) {
      return;
    } else if (this.#isEnding) {
      this.#socket.end();
    } else {
      this.#end();
    }
  }

  /** Breaks it: what has not been read yet is lost. */
  destroy(): void {
    this.#socket.terminate();
  }

  // --- From the socket ---

  received(bytes: Buffer): void {
    if (this.#isEnding) {
      releaseBuffer(bytes); // A client that sends without end must not fill memory.
      return;
    }
    let rest: Buffer | undefined = bytes;
    try {
      while (rest !== undefined && rest.length > 0 && !this.#isEnding) {
        rest = this.#take(rest);
      }
    } catch (thrown) {
      this.#refuseMalformed(thrown instanceof HeadTooLarge ? 431 : 400, troubleOf(thrown));
    }
  }

  drained(): void {
    this.output.drained();
    if (!this.output.isBlocked) {
      this.#served?.roomAgain();
      this.#deps.idle();
    }
  }

  closed(): void {
    const cut = this.#served;
    this.#served = undefined;
    this.#isEnding = true;
    this.#head.release();
    cut?.abort();
    this.#deps.idle();
  }

  // --- From the served request ---

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    if (this.#ahead === undefined) {
      this.#socket.resume();
    }
  }

  answered(): void {
    this.output.flush();
    if (this.#served?.isOver === true) {
      this.#next(this.#served);
    } else if (this.#served?.isLastOne === true) {
      this.#end();
    } else {
      // The rest of the request is read to its end, so that the next one can be found behind it.
      this.#within(RECEIVE_MS_MAX);
      this.resumeReading();
    }
  }

  break(): void {
    this.destroy();
  }

  /** @returns what has not been taken yet */
  #take(bytes: Buffer): Buffer | undefined {
    const served = this.#served;
    if (served === undefined) {
      return this.#takeHead(bytes);
    }
    if (!served.takesBytes) {
      this.#ahead = this.#ahead === undefined ? bytes : Buffer.concat([this.#ahead, bytes]);
      this.#socket.pause();
      return undefined;
    }
    const behind = served.received(bytes);
    if (served.isOver && this.#served === served) {
      this.#next(served); // Unless its answer has led there already.
    }
    return behind;
  }

  #takeHead(bytes: Buffer): Buffer | undefined {
    if (this.#head.isEmpty) {
      this.#within(RECEIVE_MS_MAX);
    }
    const taken = this.#head.take(bytes);
    if (taken === 'not whole') {
      return undefined;
    }
    if (typeof taken === 'string') {
      releaseBuffer(bytes);
      this.#refuseMalformed(431, HEAD_TROUBLES[taken]);
      return undefined;
    }
    // One empty line before a request must be ignored (RFC 9112 section 2.2).
    const start = taken.head.startsWith(BREAK) ? BREAK.length : 0;
    this.#begin(parseRequestHead(taken.head.slice(start)));
    return taken.behind;
  }

  #begin(head: RequestHead): void {
    const refusal = this.#deps.admit(head);
    if (refusal !== undefined) {
      this.#refuse(refusal, head.method);
      return;
    }
    this.#isFresh = false;
    const served = new ServedRequest(this, head);
    if (this.#isLeaving) {
      served.leave();
    }
    const call = this.#deps.begin(head, served);
    this.#served = served; // From here on it has an answer of its own.
    this.#limitMs = Number.POSITIVE_INFINITY;
    served.begin(call);
  }

  #next(done: ServedRequest): void {
    this.#served = undefined;
    this.#head.release();
    if (done.isLastOne) {
      this.#end();
    } else {
      this.#within(KEEP_ALIVE_MS);
      const ahead = this.#ahead;
      this.#ahead = undefined;
      this.#socket.resume();
      if (ahead !== undefined) {
        this.received(ahead);
      }
    }
    this.#deps.idle();
  }

  #refuseMalformed(status: number, why: string): void {
    if (this.#served === undefined) {
      this.#refuse(this.#deps.malformed(status, `A request cannot be read: ${why}`));
    } else {
      this.destroy(); // The answer may have begun.
    }
  }

  /**
   * Nothing that comes behind it is read.
   * @param method undefined where it could not be read
   */
  #refuse({ status, body, headers: given = JSON_HEADERS }: Refusal, method?: string): void {
    const headers = [
      ...given,
      ['Content-Length', String(Buffer.byteLength(body))],
      ['Connection', 'close'],
    ] as const;
    this.output.write(encodeResponseHead({ status, reason: 'Refused', headers }));
    if (method !== 'HEAD') {
      this.output.write(Buffer.from(body));
    }
    this.#end();
  }

  /** What still comes is read and dropped: unread bytes would make the system break the connection. */
  #end(): void {
    this.#isEnding = true;
    this.#served = undefined; // Its answer is whole.
    this.#head.release();
    this.#ahead = undefined;
    this.#within(RECEIVE_MS_MAX);
    this.#socket.resume();
    this.output.end();
  }

  #within(limitMs: number): void {
    this.#since = this.#deps.now();
    this.#limitMs = limitMs;
  }
}
