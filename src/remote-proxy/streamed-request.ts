/** A request whose answer goes out as it comes. */

import type { ErrorCode } from '../core/errors.ts';
import type { ExchangeSink } from '../http1/client/exchange.ts';
import type { ResponseHead } from '../http1/head.ts';
import {
  PROXY_CHUNK_BYTES,
  PROXY_WINDOW_BYTES,
  type ProxyResponseChunkPayload,
  type ProxyResponseHeaderPayload,
  type ProxyResponsePayload,
} from '../protocol/session/proxy.ts';
import { BaseRequest, base64Of, headOf } from './request.ts';

const NOTHING = Buffer.alloc(0);

export class StreamedRequest extends BaseRequest {
  /** Bytes of the answer that the peer still accepts. */
  #windowBytes = PROXY_WINDOW_BYTES;
  #paused = false;
  #upgraded = false;
  /** Kept until it is sent, together with the data that comes in the same turn. */
  #head: ResponseHead | undefined;
  /** Bytes that wait for the head to be sent, or for room in the connection. */
  #waiting: Buffer[] = [];
  #heldBytes = 0;
  #isWhole = false;

  readonly sink: ExchangeSink = {
    head: (head) => {
      this.#upgraded = head.status === 101;
      this.#head = head;
      queueMicrotask(() => this.#flush());
    },
    data: (chunk) => {
      if (!this.options.reserve(chunk.length)) {
        this.#giveUp('There are too many large answers at once', 'TOO_MANY_REQUESTS');
        return;
      }
      this.#heldBytes += chunk.length;
      this.#waiting.push(chunk);
      if (this.#head === undefined) {
        this.#flush();
      }
    },
    end: () => {
      this.#isWhole = true;
      this.#flush();
    },
    fail: (error) => this.#giveUp(error.message, error.code),
    drained: () => this.openWindow(),
  };

  #giveUp(error: string, code: ErrorCode): void {
    this.#sendHead();
    this.fail(error, code);
  }

  /** Sends what there is room for. */
  #flush(): void {
    if (this.options.isFull()) {
      this.#pause();
      return;
    }
    if (this.#isWhole && this.#sendWhole()) {
      this.finish();
      return;
    }
    this.#sendHead();
    while (this.#waiting.length > 0 && !this.options.isFull()) {
      const chunk = this.#waiting.shift() ?? NOTHING;
      this.#letGo(chunk.length);
      this.#send(chunk);
    }
    if (this.#isWhole && this.#waiting.length === 0) {
      this.options.link.send('proxy_response_end', {}, this.options.id);
      this.finish();
    } else if (!this.#mayGoOn()) {
      this.#pause();
    }
  }

  #letGo(bytes: number): void {
    this.#heldBytes -= bytes;
    this.options.release(bytes);
  }

  /**
   * Most answers are small and complete at once: a peer that knows our windows gets them as one
   * message.
   */
  #sendWhole(): boolean {
    const head = this.#head;
    if (head === undefined || !this.options.windowed || this.#heldBytes > PROXY_CHUNK_BYTES) {
      return false;
    }
    const payload: ProxyResponsePayload = {
      ...headOf(head),
      ...(this.#heldBytes === 0 ? {} : { body: base64Of(this.#waiting), encoding: 'base64' }),
    };
    this.options.link.send('proxy_response', payload, this.options.id);
    return true;
  }

  #sendHead(): void {
    const head = this.#head;
    if (head !== undefined) {
      this.#head = undefined;
      const payload: ProxyResponseHeaderPayload = headOf(head);
      this.options.link.send('proxy_response_header', payload, this.options.id);
    }
  }

  protected override finish(): void {
    this.#letGo(this.#heldBytes);
    this.#head = undefined;
    this.#waiting = [];
    this.#isWhole = false;
    super.finish();
  }

  override bodyEnd(): void {
    if (this.#upgraded) {
      this.call?.abort(); // The protocols behind an upgrade know no half-closed connection.
      this.finish();
    } else {
      super.bodyEnd();
    }
  }

  override windowOpened(bytes: number): void {
    this.#windowBytes += bytes;
    this.#resumeIfPossible();
  }

  override linkFull(): void {
    this.#pause();
  }

  override roomAgain(): void {
    if (this.#head !== undefined || this.#waiting.length > 0 || this.#isWhole) {
      this.#flush();
    }
    this.#resumeIfPossible();
  }

  #send(chunk: Buffer): void {
    const { link, id } = this.options;
    for (let at = 0; at < chunk.length; at += PROXY_CHUNK_BYTES) {
      const piece = chunk.subarray(at, at + PROXY_CHUNK_BYTES);
      const payload: ProxyResponseChunkPayload = {
        data: piece.toString('base64'),
        encoding: 'base64',
        size: piece.length,
      };
      link.send('proxy_response_chunk', payload, id);
    }
    this.#windowBytes -= chunk.length;
  }

  /** Also called when already paused: there may have been no connection to pause the first time. */
  #pause(): void {
    this.#paused = true;
    this.call?.pause();
  }

  #mayGoOn(): boolean {
    return (!this.options.windowed || this.#windowBytes > 0) && !this.options.isFull();
  }

  #resumeIfPossible(): void {
    if (this.#paused && this.#mayGoOn()) {
      this.#paused = false;
      this.call?.resume();
    }
  }
}
