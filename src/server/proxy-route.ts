/** The door of Bun.serve to the proxy: plain requests. Upgrades go to the TLS listener. */
import { type AgentError, toAgentError } from '../core/errors.ts';
import type { HeaderList, ResponseHead } from '../protocol/http-head.ts';
import { type ForwardDeps, forward } from '../proxy/forward.ts';
import type { ProxyCall } from '../proxy/proxy-call.ts';

/** The runtime gives them none, and asking for it has a price. */
const BODILESS_METHODS = ['GET', 'HEAD'];

/** Statuses that never have a body: a Response refuses one. */
const BODILESS = [101, 204, 205, 304];

/**
 * Answers one request through the proxy. The runtime has normalised the path already: what the
 * policy sees is what is sent.
 * @param target path and query of the Kubernetes API
 * @param leaving see `ProxyRequest`
 */
export function answerThroughProxy(
  deps: ForwardDeps,
  request: Request,
  target: string,
  client: string,
  leaving: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const answer = new StreamedAnswer(resolve, reject);
    const headers: HeaderList = [...request.headers];
    const asked = { method: request.method, target, headers, client, leaving };
    const call = forward(deps, asked, answer);
    answer.call = call;
    request.signal.addEventListener('abort', () => call.abort(), { once: true });
    const body = BODILESS_METHODS.includes(request.method) ? null : request.body;
    if (body === null) {
      call.endRequest();
    } else {
      sendBody(body, call, answer).catch(() => call.abort()); // The caller has gone.
    }
  });
}

async function sendBody(
  body: ReadableStream<Uint8Array>,
  call: ProxyCall,
  answer: StreamedAnswer,
): Promise<void> {
  for await (const chunk of body) {
    if (!call.write(chunk)) {
      await answer.room();
    }
  }
  call.endRequest();
}

/** Makes a Response of what the proxy tells. */
class StreamedAnswer {
  call: ProxyCall | undefined;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: AgentError) => void;
  #head: ResponseHead | undefined;
  /** What came before the Response was made; a small answer is whole by then. */
  #chunks: Buffer[] = [];
  #whole = false;
  /** Bytes go straight to the socket: no queue of the runtime's is between. */
  #stream: ReadableStreamDirectController | undefined;
  /** The stream lasts until this is settled. */
  readonly #ended = Promise.withResolvers<void>();
  #roomWaiter: (() => void) | undefined;

  constructor(resolve: (response: Response) => void, reject: (error: AgentError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  head(head: ResponseHead): void {
    this.#head = head;
    // Everything of this turn first: most answers fit into one read.
    queueMicrotask(() => {
      try {
        this.#respond(head);
      } catch (thrown) {
        this.call?.abort(); // The runtime does not take this head.
        this.#ended.resolve();
        this.#reject(toAgentError(thrown));
      }
    });
  }

  data(chunk: Buffer): void {
    if (this.#stream === undefined) {
      this.#chunks.push(chunk);
      return;
    }
    this.#send(this.#stream, chunk);
  }

  end(): void {
    this.#whole = true;
    this.#stream?.end();
    this.#ended.resolve();
    this.drained();
  }

  fail(error: AgentError): void {
    this.drained();
    if (this.#head === undefined) {
      this.#reject(error);
    } else {
      this.#stream?.close(error);
      this.#ended.resolve();
    }
  }

  drained(): void {
    const wake = this.#roomWaiter;
    this.#roomWaiter = undefined;
    wake?.();
  }

  /** Resolves when more of the body may be written. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomWaiter = resolve;
    });
  }

  /** The runtime's promise says that the socket is full, and when no more. */
  #send(stream: ReadableStreamDirectController, chunk: Buffer): void {
    const taken = stream.write(chunk);
    stream.flush();
    if (taken instanceof Promise) {
      this.call?.pause();
      const resume = () => this.call?.resume();
      taken.then(resume, resume); // Who has gone is told by `cancel`.
    }
  }

  #respond(head: ResponseHead): void {
    const init = { status: head.status, statusText: head.reason, headers: writable(head.headers) };
    if (this.#whole) {
      const [first, ...others] = this.#chunks;
      const body = others.length === 0 ? first : Buffer.concat(this.#chunks);
      const bodiless = body === undefined || BODILESS.includes(head.status);
      this.#resolve(new Response(bodiless ? null : body, init));
      return;
    }
    const body = new ReadableStream({
      type: 'direct',
      pull: async (controller) => {
        this.#stream = controller;
        for (const chunk of this.#chunks) {
          this.#send(controller, chunk);
        }
        this.#chunks = [];
        if (this.#whole) {
          controller.end();
        }
        await this.#ended.promise;
      },
      cancel: () => {
        this.call?.abort();
        this.#ended.resolve();
      },
    });
    this.#resolve(new Response(body, init));
  }
}

function writable(headers: HeaderList): [string, string][] {
  return headers.map(([name, value]) => [name, value]);
}
