/** A request whose answer goes out as one message. */
import type { AgentError } from '../core/errors.ts';
import type { ExchangeSink } from '../http1/client/exchange.ts';
import type { ResponseHead } from '../http1/head.ts';
import { BUFFERED_ANSWER_BYTES_MAX, type ProxyResponsePayload } from '../protocol/session/proxy.ts';
import { BaseRequest, base64Of, headOf } from './request.ts';

export class BufferedRequest extends BaseRequest {
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

  /** Large answers leave one after the other. */
  #sendIfPossible(): void {
    const { link, id, isFull } = this.options;
    if (!this.#isWhole || isFull()) {
      return;
    }
    const payload: ProxyResponsePayload = {
      ...headOf(this.#head ?? { status: 200, reason: '', headers: [] }),
      ...(this.#bytes === 0 ? {} : { body: base64Of(this.#chunks), encoding: 'base64' }),
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
