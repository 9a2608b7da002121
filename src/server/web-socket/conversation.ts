/** One open `/ws`: questions come in, each gets its answer, in order. */
import { toAgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { ExchangeSink } from '../../http1/client/exchange.ts';
import type { ProxyCall } from '../../http1/server/call.ts';
import { OPCODES } from '../../websocket/frame.ts';
import { OpenWebSocket } from '../../websocket/open.ts';

/** Of one question, bytes. */
const MESSAGE_BYTES_MAX = 4 * 1024;
/** Questions that wait for their answers; more than so many close it. */
export const WAITING_MAX = 64;
/** It is pinged this often, so that both sides learn when the other one is gone, ms. */
export const PING_EVERY_MS = 15_000;
/** Who takes nothing for this long, or says nothing, is dropped. */
export const STALLED_MS = 30_000;
/** RFC 6455 section 7.4.1. */
const GOING_AWAY = 1001;
const UNSUPPORTED = 1003;
const POLICY_VIOLATION = 1008;

interface ConversationDeps {
  readonly clock: Clock;
  readonly sink: ExchangeSink;
  readonly answer: (question: string, signal: AbortSignal) => Promise<string>;
  /** Called once. @param dropped whether it was too slow */
  readonly onOver: (dropped: boolean) => void;
}

export class Conversation implements ProxyCall {
  readonly #deps: ConversationDeps;
  readonly #socket: OpenWebSocket;
  readonly #over = new AbortController();
  readonly #waiting: string[] = [];
  #isAnswering = false;
  /** Monotonic ms. */
  #blockedSince: number | undefined;
  #heardAt: number;

  /** @param leaving aborted when the door closes */
  constructor(deps: ConversationDeps, greeting: Promise<string>, leaving: AbortSignal) {
    this.#deps = deps;
    this.#heardAt = deps.clock.monotonic();
    this.#socket = new OpenWebSocket(
      { messageBytesMax: MESSAGE_BYTES_MAX },
      {
        send: (bytes) => deps.sink.data(Buffer.from(bytes)),
        message: (opcode, payload) => this.#take(opcode, payload.toString()),
        ping: () => undefined,
        pong: () => undefined,
        closed: () => this.#end(false),
      },
    );
    leaving.addEventListener('abort', () => this.#socket.close(GOING_AWAY, 'The agent stops'), {
      once: true,
      signal: this.#over.signal,
    });
    void this.#answerAll(greeting);
    void this.#watch();
  }

  // --- From the door ---

  write(chunk: Uint8Array): boolean {
    this.#heardAt = this.#deps.clock.monotonic();
    this.#socket.received(Buffer.from(chunk));
    // Even what is answered by itself, such as a ping, must not pile up.
    return this.#blockedSince === undefined;
  }

  endRequest(): void {
    this.#socket.ended();
  }

  pause(): void {
    this.#blockedSince ??= this.#deps.clock.monotonic();
  }

  resume(): void {
    if (this.#blockedSince !== undefined) {
      this.#blockedSince = undefined;
      this.#heardAt = this.#deps.clock.monotonic();
      this.#deps.sink.drained();
      void this.#answerAll();
    }
  }

  abort(): void {
    if (!this.#over.signal.aborted) {
      this.#over.abort();
      this.#deps.onOver(false);
    }
  }

  #take(opcode: number, text: string): void {
    if (opcode !== OPCODES.text) {
      this.#socket.close(UNSUPPORTED, 'Questions are texts');
    } else if (this.#waiting.length >= WAITING_MAX) {
      this.#socket.close(POLICY_VIOLATION, 'Too many questions at once');
    } else {
      this.#waiting.push(text);
      void this.#answerAll();
    }
  }

  /** @param first comes before all answers */
  async #answerAll(first?: Promise<string>): Promise<void> {
    if (this.#isAnswering) {
      return;
    }
    this.#isAnswering = true;
    const { signal } = this.#over;
    let next = first;
    for (;;) {
      const text = await next;
      if (text !== undefined && !signal.aborted) {
        this.#socket.send(OPCODES.text, [Buffer.from(text)]);
      }
      const question = this.#mayAnswer() ? this.#waiting.shift() : undefined;
      if (question === undefined) {
        break;
      }
      next = this.#deps.answer(question, signal);
    }
    this.#isAnswering = false;
  }

  /** Answers wait while the other side takes none. */
  #mayAnswer(): boolean {
    return this.#blockedSince === undefined && !this.#over.signal.aborted;
  }

  async #watch(): Promise<void> {
    const { clock } = this.#deps;
    while (await clock.sleep(PING_EVERY_MS, this.#over.signal)) {
      const now = clock.monotonic();
      const since = Math.min(this.#blockedSince ?? now, this.#heardAt);
      if (now - since >= STALLED_MS) {
        this.#end(true);
      } else if (this.#blockedSince === undefined) {
        this.#socket.send(OPCODES.ping, []);
      }
    }
  }

  #end(dropped: boolean): void {
    if (this.#over.signal.aborted) {
      return;
    }
    this.#over.abort();
    this.#deps.onOver(dropped);
    if (dropped) {
      this.#deps.sink.fail(toAgentError(new Error('it takes nothing')));
    } else {
      this.#deps.sink.end([]);
    }
  }
}
