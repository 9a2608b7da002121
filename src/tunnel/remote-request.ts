/** One HTTP request that came through the session, and its answer on the way back. */
import type { SessionLink } from '../control-plane/ports.ts';
import type { AgentError } from '../core/errors.ts';
import {
  BUFFERED_ANSWER_BYTES_MAX,
  PROXY_CHUNK_BYTES,
  PROXY_WINDOW_BYTES,
  type ProxyResponseChunkPayload,
  type ProxyResponseHeaderPayload,
  type ProxyResponsePayload,
} from '../protocol/proxy-messages.ts';
import type { ProxyCall } from '../proxy/forward.ts';
import type { HeaderList, ResponseHead } from '../proxy/http-head.ts';
import type { ExchangeSink } from '../proxy/upstream-connection.ts';

/** The window is opened again when this much of it has been used, bytes. */
const WINDOW_STEP_BYTES = PROXY_WINDOW_BYTES / 2;
/** Of a peer that knows no windows: body bytes that wait for Kubernetes before it is given up. */
const UNWINDOWED_BYTES_MAX = 8 * 1024 * 1024;

export interface RemoteRequestOptions {
  readonly id: string;
  readonly link: SessionLink;
  /** The answer goes out as it comes; else as one message. */
  readonly streamed: boolean;
  /** Both sides count windows. */
  readonly windowed: boolean;
  /** Whether the connection is full: then Kubernetes is told to pause until `roomAgain`. */
  readonly isFull: () => boolean;
  /** Takes bytes from what all buffered answers may hold; false when there is no room. */
  readonly reserve: (bytes: number) => boolean;
  readonly release: (bytes: number) => void;
  /** It is over, however. */
  readonly over: () => void;
}

export interface RemoteRequest {
  /** Where the request goes; set right after it was begun. */
  begin(call: ProxyCall): void;
  /** Body bytes of the peer. */
  body(bytes: Buffer): void;
  bodyEnd(): void;
  /** The peer takes that many more bytes of the answer. */
  windowOpened(bytes: number): void;
  /** The connection is full: nothing more may go out until `roomAgain`. */
  linkFull(): void;
  roomAgain(): void;
  /** The peer wants no answer any more, or is gone. */
  cancel(): void;
  /** The time that the peer gave is over. */
  timeOut(): void;
  readonly sink: ExchangeSink;
}

export function remoteRequest(options: RemoteRequestOptions): RemoteRequest {
  return options.streamed ? new StreamedRequest(options) : new BufferedRequest(options);
}

/** What both kinds of answer have in common: the way of the body towards Kubernetes. */
abstract class BaseRequest implements RemoteRequest {
  protected readonly options: RemoteRequestOptions;
  protected call: ProxyCall | undefined;
  /** Given to the call and not yet sent on, while it has no room. */
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
      // Nothing of a stream may be lost, and nothing here can make such a peer wait.
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

  /** Only an answer that is streamed has to wait. */
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

  protected fail(error: string, code: string): void {
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

class StreamedRequest extends BaseRequest {
  /** Bytes of the answer that the peer still takes. */
  #windowBytes = PROXY_WINDOW_BYTES;
  #paused = false;
  #upgraded = false;
  /** A head that waits for what comes in the same turn, and that. */
  #held: { readonly head: ResponseHead; readonly chunks: Buffer[] } | undefined;

  readonly sink: ExchangeSink = {
    head: (head) => {
      this.#upgraded = head.status === 101;
      if (!this.#mayGoOn()) {
        this.#pause();
      }
      this.#held = { head, chunks: [] };
      queueMicrotask(() => this.#sendHeld());
    },
    data: (chunk) => {
      if (this.#held === undefined) {
        this.#send(chunk);
      } else {
        this.#held.chunks.push(chunk);
      }
    },
    end: () => {
      if (!this.#sendWhole()) {
        this.#sendHeld();
        this.options.link.send('proxy_response_end', {}, this.options.id);
      }
      this.finish();
    },
    fail: (error) => {
      this.#sendHeld();
      this.fail(error.message, error.code);
    },
    drained: () => this.openWindow(),
  };

  /** Most answers are small and there at once: to a peer that knows our windows they are one message. */
  #sendWhole(): boolean {
    const held = this.#held;
    if (held === undefined || !this.options.windowed) {
      return false;
    }
    const body = Buffer.concat(held.chunks);
    if (body.length > PROXY_CHUNK_BYTES) {
      return false;
    }
    this.#held = undefined;
    const payload: ProxyResponsePayload = {
      ...headOf(held.head),
      ...(body.length === 0 ? {} : { body: body.toString('base64'), encoding: 'base64' }),
    };
    this.options.link.send('proxy_response', payload, this.options.id);
    return true;
  }

  #sendHeld(): void {
    const held = this.#held;
    if (held === undefined) {
      return;
    }
    this.#held = undefined;
    const payload: ProxyResponseHeaderPayload = headOf(held.head);
    this.options.link.send('proxy_response_header', payload, this.options.id);
    for (const chunk of held.chunks) {
      this.#send(chunk);
    }
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
    if (!this.#mayGoOn()) {
      this.#pause();
    }
  }

  /** Also what is paused: there may have been no connection to Kubernetes to pause then. */
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

class BufferedRequest extends BaseRequest {
  #head: ResponseHead | undefined;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isWhole = false;

  readonly sink: ExchangeSink = {
    head: (head) => {
      this.#head = head;
    },
    data: (chunk) => {
      if (this.#bytes + chunk.length > BUFFERED_ANSWER_BYTES_MAX) {
        this.fail('The answer is too large for one message; ask for a streamed one', 'USAGE');
      } else if (this.options.reserve(chunk.length)) {
        this.#bytes += chunk.length;
        this.#chunks.push(chunk);
      } else {
        this.fail('There are too many large answers at once', 'TOO_MANY_REQUESTS');
      }
    },
    end: () => {
      this.#isWhole = true;
      this.#sendIfPossible();
    },
    fail: (error: AgentError) => this.fail(error.message, error.code),
    drained: () => this.openWindow(),
  };

  override roomAgain(): void {
    this.#sendIfPossible();
  }

  /** Large ones leave one after the other. */
  #sendIfPossible(): void {
    const { link, id, isFull } = this.options;
    if (!this.#isWhole || isFull()) {
      return;
    }
    const payload: ProxyResponsePayload = {
      ...headOf(this.#head ?? { status: 200, reason: '', headers: [] }),
      ...(this.#bytes === 0
        ? {}
        : { body: Buffer.concat(this.#chunks).toString('base64'), encoding: 'base64' }),
    };
    link.send('proxy_response', payload, id);
    this.finish();
  }

  protected override finish(): void {
    this.options.release(this.#bytes);
    this.#bytes = 0;
    super.finish();
  }
}

function headOf(head: ResponseHead): ProxyResponseHeaderPayload {
  return { status: head.status, headers: groupedHeaders(head.headers) };
}

/** Repeated headers under one name, in order, as the wire has them. */
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
