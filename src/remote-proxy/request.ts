/** One HTTP request that came through the session, and its answer on the way back. */
import type { SessionLink } from '../control-plane/session/ports.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ExchangeSink } from '../http1/client/exchange.ts';
import type { HeaderList, ResponseHead } from '../http1/head.ts';
import type { ProxyCall } from '../http1/server/call.ts';
import { PROXY_WINDOW_BYTES, type ProxyResponseHeaderPayload } from '../protocol/session/proxy.ts';

/** The window is opened again when this much of it has been used, bytes. */
const WINDOW_STEP_BYTES = PROXY_WINDOW_BYTES / 2;
/**
 * For a peer that knows no windows: when more body bytes wait for Kubernetes, its request fails.
 */
const UNWINDOWED_BYTES_MAX = 8 * 1024 * 1024;

export interface RemoteRequestOptions {
  readonly id: string;
  readonly link: SessionLink;
  /** The answer is sent as it comes; otherwise as one message. */
  readonly streamed: boolean;
  /** Both sides count windows. */
  readonly windowed: boolean;
  /** Whether the connection is full: Kubernetes is then told to pause until `roomAgain`. */
  readonly isFull: () => boolean;
  /** Takes bytes from what all buffered answers may hold; false when there is no room. */
  readonly reserve: (bytes: number) => boolean;
  readonly release: (bytes: number) => void;
  /** The request is over, however it ended. */
  readonly over: () => void;
}

export interface RemoteRequest {
  /** Where the request goes; set right after it was begun. */
  begin(call: ProxyCall): void;
  /** Body bytes of the peer. */
  body(bytes: Buffer): void;
  bodyEnd(): void;
  /** The peer accepts this many more bytes of the answer. */
  windowOpened(bytes: number): void;
  /** The connection is full: nothing more may go out until `roomAgain`. */
  linkFull(): void;
  roomAgain(): void;
  /** The peer wants no answer any more, or is gone. */
  cancel(): void;
  /**
   * The request cannot go on; the peer is told.
   * @param code of docs/TROUBLESHOOTING.md
   */
  fail(error: string, code: ErrorCode): void;
  /** The time that the peer gave is up. */
  timeOut(): void;
  readonly sink: ExchangeSink;
}

/** What both kinds of answer share: the way of the body towards Kubernetes. */
export abstract class BaseRequest implements RemoteRequest {
  protected readonly options: RemoteRequestOptions;
  protected call: ProxyCall | undefined;
  /** Bytes that the call took but has not sent on, for lack of room. */
  #waitingBytes = 0;
  #usedWindowBytes = 0;
  #isOver = false;
  abstract readonly sink: ExchangeSink;

  constructor(options: RemoteRequestOptions) {
    this.options = options;
  }

  begin(call: ProxyCall): void {
    this.call = call;
  }

  body(bytes: Buffer): void {
    const room = this.call?.write(bytes) ?? true;
    this.#usedWindowBytes += bytes.length;
    if (room) {
      this.openWindow();
      return;
    }
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > UNWINDOWED_BYTES_MAX) {
      // No part of a stream may be lost, and there is no way to make such a peer wait.
      this.fail('The body comes faster than Kubernetes takes it', 'TOO_MANY_REQUESTS');
    }
  }

  bodyEnd(): void {
    this.call?.endRequest();
  }

  cancel(): void {
    this.call?.abort();
    this.finish();
  }

  timeOut(): void {
    this.fail('The request took longer than its timeout', 'TIMEOUT');
  }

  /** Only a streamed answer has to wait for it. */
  windowOpened(_bytes: number): void {
    return;
  }

  linkFull(): void {
    return;
  }

  roomAgain(): void {
    return;
  }

  protected openWindow(): void {
    this.#waitingBytes = 0;
    if (this.options.windowed && this.#usedWindowBytes >= WINDOW_STEP_BYTES) {
      const { link, id } = this.options;
      link.send('proxy_window', { bytes: this.#usedWindowBytes }, id);
      this.#usedWindowBytes = 0;
    }
  }

  fail(error: string, code: ErrorCode): void {
    const { link, id, streamed } = this.options;
    link.send(streamed ? 'proxy_response_abort' : 'proxy_error', { error, code }, id);
    this.cancel();
  }

  protected finish(): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.options.over();
    }
  }
}

/**
 * A whole body in the form of the wire. Most bodies came in one piece, which is not copied first.
 */
export function base64Of(chunks: readonly Buffer[]): string {
  const [first] = chunks;
  const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
  return whole.toString('base64');
}

export function headOf(head: ResponseHead): ProxyResponseHeaderPayload {
  return { status: head.status, headers: groupedHeaders(head.headers) };
}

/** Repeated headers under one name, in order, in the form of the wire. */
export function groupedHeaders(headers: HeaderList): Record<string, string[]> {
  // Without a prototype: a header may be called "constructor".
  const all: Record<string, string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const values = all[name];
    if (values === undefined) {
      all[name] = [value];
    } else {
      values.push(value);
    }
  }
  return all;
}
