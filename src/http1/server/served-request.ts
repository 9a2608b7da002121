/** One request of a client's connection, and its answer. */
import { AgentError } from '../../core/errors.ts';
import {
  type BodyReader,
  type BodySink,
  requestBodyReader,
  requestFraming,
} from '../body-framing.ts';
import { lastChunk, writeChunk } from '../chunked-body.ts';
import type { ExchangeSink } from '../client/exchange.ts';
import { asksForUpgrade, connectionOptions } from '../connection-header.ts';
import {
  encodeResponseHead,
  type HeaderList,
  REQUEST_ADVICE,
  type RequestHead,
  type ResponseHead,
  singleHeader,
} from '../head.ts';
import type { ProxyCall } from './call.ts';
import type { SocketOutput } from './socket-output.ts';

const NOTHING = Buffer.alloc(0);
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

/** How the end of an answer's body is marked. closed: by the end of the connection. */
type AnswerFraming = 'none' | 'length' | 'chunked' | 'closed';

/** What a served request asks of its connection. */
export interface ServedRequestOwner {
  readonly output: SocketOutput;
  pauseReading(): void;
  resumeReading(): void;
  /** The answer is whole. */
  answered(): void;
  /** The answer cannot be whole: only a broken connection says so. */
  break(): void;
}

export class ServedRequest implements ExchangeSink {
  readonly #owner: ServedRequestOwner;
  readonly #method: string;
  readonly #knowsChunks: boolean;
  readonly #request: BodyReader;
  #call: ProxyCall | undefined;
  #framing: AnswerFraming = 'none';
  /** asked: if the answer is a 101, the bytes that come belong to the other protocol. */
  #upgrade: 'no' | 'asked' | 'done';
  #requestWhole = false;
  #answerWhole = false;
  #lastOne: boolean;

  /** @throws AgentError PROXY_REQUEST_INVALID when it is not clear where the body, or HTTP, ends */
  constructor(owner: ServedRequestOwner, head: RequestHead) {
    const { headers } = head;
    const framing = requestFraming(headers);
    this.#owner = owner;
    this.#method = head.method;
    this.#knowsChunks = head.minorVersion === 1;
    const options = connectionOptions(headers);
    this.#lastOne = !this.#knowsChunks || options.has('close');
    this.#upgrade = asksForUpgrade(headers, options) ? 'asked' : 'no';
    if (this.#upgrade === 'asked' && framing !== 'none') {
      throw new AgentError(
        'PROXY_REQUEST_INVALID',
        'An upgrade cannot have a body',
        REQUEST_ADVICE,
      );
    }
    this.#request = requestBodyReader(framing);
    if (framing !== 'none' && this.#knowsChunks && singleHeader(headers, 'expect') !== undefined) {
      owner.output.write(CONTINUE);
    }
  }

  /** No other request may follow on the connection. */
  get isLastOne(): boolean {
    return this.#lastOne;
  }

  /** Nothing more of it will come in or go out. */
  get isOver(): boolean {
    return this.#requestWhole && this.#answerWhole;
  }

  /** Whether bytes that come now belong to it. */
  get takesBytes(): boolean {
    return this.#upgrade !== 'no' || !this.#requestWhole;
  }

  begin(call: ProxyCall): void {
    this.#call = call;
    this.received(NOTHING); // A request without a body is whole.
  }

  /** The connection is to end behind this one. */
  leave(): void {
    this.#lastOne = true;
  }

  /** @returns bytes that belong to what comes behind its body */
  received(bytes: Buffer): Buffer | undefined {
    if (this.#upgrade === 'no') {
      return this.#request.read(bytes, this.#requestBody);
    }
    if (bytes.length > 0) {
      this.#requestBody.data(bytes);
    }
    return undefined;
  }

  readonly #requestBody: BodySink = {
    data: (chunk) => {
      if (this.#call?.write(chunk) === false) {
        this.#owner.pauseReading();
      }
    },
    end: () => {
      this.#requestWhole = true;
      this.#call?.endRequest();
    },
  };

  /** The client takes bytes again. */
  roomAgain(): void {
    this.#call?.resume();
  }

  /** The client has gone. */
  abort(): void {
    this.#call?.abort();
  }

  // --- From the API server ---

  drained(): void {
    this.#owner.resumeReading();
  }

  head(head: ResponseHead): void {
    if (head.status === 101) {
      this.#upgrade = 'done';
      this.#framing = 'closed';
      this.#lastOne = true;
      this.#owner.output.write(encodeResponseHead(head));
      return;
    }
    if (this.#upgrade === 'asked') {
      this.#upgrade = 'no';
      this.#requestWhole = true; // What comes behind an upgrade that was refused belongs to nobody.
      this.#lastOne = true;
    }
    this.#framing = this.#framingOf(head);
    const own: (readonly [string, string])[] = [];
    if (this.#framing === 'chunked') {
      own.push(['Transfer-Encoding', 'chunked']);
    }
    if (this.#lastOne) {
      own.push(['Connection', 'close']);
    }
    const headers = own.length === 0 ? head.headers : [...head.headers, ...own];
    this.#owner.output.write(encodeResponseHead({ ...head, headers }));
  }

  data(chunk: Buffer): void {
    if (this.#framing === 'none') {
      return; // A refusal of a HEAD: its text would be read as the next answer.
    }
    const { output } = this.#owner;
    const hasRoom = this.#framing === 'chunked' ? writeChunk(output, chunk) : output.write(chunk);
    if (!hasRoom) {
      this.#call?.pause();
    }
  }

  end(trailers: HeaderList): void {
    if (this.#framing === 'chunked') {
      this.#owner.output.write(lastChunk(trailers));
    }
    this.#upgrade = 'no';
    this.#answerWhole = true;
    if (this.#framing === 'closed') {
      this.#requestWhole = true;
    }
    this.#owner.answered();
  }

  fail(): void {
    this.#owner.break();
  }

  #framingOf({ status, headers }: ResponseHead): AnswerFraming {
    if (this.#method === 'HEAD' || status === 204 || status === 304) {
      return 'none';
    }
    if (singleHeader(headers, 'content-length') !== undefined) {
      return 'length';
    }
    if (this.#knowsChunks) {
      return 'chunked';
    }
    this.#lastOne = true;
    return 'closed';
  }
}
